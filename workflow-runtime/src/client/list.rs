//! Lists of runs, a page at a time.

use crate::call::{Definer, Definition as _, Workflow};
use crate::clock::Timestamp;
use crate::model::{RunQuery, RunSummary, Status};

/// Which runs to list. Everything that is asked for must hold.
#[derive(Clone, Debug)]
#[must_use = "a filter is given to `Client::list`"]
pub struct Filter {
    pub(super) query: RunQuery,
}

/// Runs of one page unless asked otherwise, and at most.
const PAGE: u32 = 100;
const LONGEST_PAGE: u32 = 1_000;

impl Default for Filter {
    fn default() -> Self {
        Self::new()
    }
}

impl Filter {
    /// All runs, 100 a page.
    pub fn new() -> Self {
        Self { query: RunQuery { limit: PAGE, ..RunQuery::default() } }
    }

    /// Runs of that status; given several times, of any of them.
    pub fn status(mut self, status: Status) -> Self {
        self.query.statuses.push(status);
        self
    }

    /// Runs of that workflow, also under its former names; given several times,
    /// of any of them.
    pub fn workflow<F, A>(mut self, workflow: F) -> Self
    where
        F: Definer<A>,
        F::Definition: Workflow,
    {
        drop(workflow);
        let named = &<F::Definition as Workflow>::definition().named;
        debug_assert_eq!(named.name, F::Definition::NAME);
        let names = std::iter::once(&named.name).chain(named.was);
        self.query.workflows.extend(names.map(|name| (*name).to_owned()));
        self
    }

    /// Runs whose workflow id begins so.
    pub fn id_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.query.id_prefix = Some(prefix.into());
        self
    }

    /// Runs that were accepted at that time or later.
    pub fn started_from(mut self, time: Timestamp) -> Self {
        self.query.from = Some(time);
        self
    }

    /// Runs that were accepted before that time.
    pub fn started_before(mut self, time: Timestamp) -> Self {
        self.query.before = Some(time);
        self
    }

    /// Runs that were started with that entry of
    /// [`Call::meta`](crate::Call::meta).
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.meta.insert(key.into(), value.into());
        self
    }

    /// So many runs a page, 1 to 1,000.
    pub fn page_size(mut self, runs: u32) -> Self {
        self.query.limit = runs.clamp(1, LONGEST_PAGE);
        self
    }
}

/// Runs, newest first.
#[derive(Clone, Debug)]
pub struct Page {
    runs: Vec<RunSummary>,
    filter: Filter,
}

impl Page {
    pub(super) fn new(runs: Vec<RunSummary>, filter: Filter) -> Self {
        Self { runs, filter }
    }

    /// The runs of this page.
    #[must_use]
    pub fn runs(&self) -> &[RunSummary] {
        &self.runs
    }

    /// The filter of the next page; none after the last.
    #[must_use = "it is given to `Client::list`"]
    pub fn next(&self) -> Option<Filter> {
        let full = self.runs.len() >= self.filter.query.limit as usize;
        let last = self.runs.last().filter(|_| full)?;
        let mut filter = self.filter.clone();
        filter.query.after = Some(last.run);
        Some(filter)
    }
}
