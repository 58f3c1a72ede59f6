//! Which runs to list, and what a list says of each.

use std::collections::BTreeMap;

use super::Status;
use crate::clock::Timestamp;

/// Which runs, as the store is asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunQuery {
    /// Any of these; empty: any.
    pub(crate) statuses: Vec<Status>,
    /// Names of the workflow, old and new; empty: any.
    pub(crate) workflows: Vec<String>,
    pub(crate) id_prefix: Option<String>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) before: Option<Timestamp>,
    /// All of these.
    pub(crate) meta: BTreeMap<String, String>,
    /// Older than this run.
    pub(crate) after: Option<i64>,
    pub(crate) limit: u32,
}

/// One run of a list.
#[derive(Clone, Debug)]
pub struct RunSummary {
    pub(crate) run: i64,
    pub(crate) id: String,
    pub(crate) workflow: String,
    pub(crate) status: Status,
    pub(crate) started: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    pub(crate) meta: BTreeMap<String, String>,
}

impl RunSummary {
    /// The workflow id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Name of the workflow when the run was started.
    #[must_use]
    pub fn workflow(&self) -> &str {
        &self.workflow
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// When it was accepted.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// When it ended.
    #[must_use]
    pub fn ended(&self) -> Option<Timestamp> {
        self.ended
    }

    /// What it was started with by [`Call::meta`](crate::Call::meta).
    #[must_use]
    pub fn meta(&self) -> &BTreeMap<String, String> {
        &self.meta
    }
}

/// What could not be done and waits for people.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    pub(crate) number: i64,
    pub(crate) id: String,
    pub(crate) workflow: String,
    pub(crate) kind: String,
    pub(crate) reason: String,
    pub(crate) body: Option<String>,
    pub(crate) at: Timestamp,
}

impl DeadLetter {
    /// The id of the run it belongs to.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Name of its workflow.
    #[must_use]
    pub fn workflow(&self) -> &str {
        &self.workflow
    }

    /// What is dead: `run`; `signal`: it was not received before its run ended.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Since when.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// What the signal carried, as JSON; none for a run.
    #[must_use]
    pub fn body(&self) -> Option<&str> {
        self.body.as_deref()
    }
}
