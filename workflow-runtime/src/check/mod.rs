//! Whether this build can go on with the open runs of a database, before it is
//! deployed: replays them all, starts nothing, writes nothing.

mod report;

use std::sync::Arc;

pub use report::{CheckReport, CheckedRun, Verdict};

use crate::error::{Error, ErrorKind};
use crate::model::{Limits, RunId, RunQuery, RunRecord, Status, StoredRun, WorkflowFuture};
use crate::registry::Registry;
use crate::store::{Damage, Store};
use crate::turn::{Fault, RunInfo, rehearse, second_opinion};

/// Runs that are read together.
const PAGE: u32 = 200;

/// Which runs are checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// Names; empty: all.
    pub(crate) workflows: Vec<String>,
    /// Most runs; none: all.
    pub(crate) limit: Option<usize>,
    /// Only those that wait: nobody looks at them before they are due.
    pub(crate) waiting: bool,
    /// Other arguments of a call that has its result are a mismatch too.
    pub(crate) strict: bool,
}

/// Replays the open runs of a store, newest first.
pub(crate) async fn check(
    store: Arc<dyn Store>,
    registry: &Registry,
    limits: Limits,
    build: &str,
    scope: Scope,
) -> Result<CheckReport, Error> {
    crate::panics::install();
    let mut report = CheckReport { build: build.to_owned(), runs: Vec::new() };
    let statuses = match scope.waiting {
        true => vec![Status::Waiting],
        false => vec![Status::Queued, Status::Running, Status::Waiting, Status::Blocked],
    };
    let (workflows, strict) = (scope.workflows, scope.strict);
    let mut query = RunQuery { statuses, workflows, limit: PAGE, ..RunQuery::default() };
    loop {
        let left = scope.limit.map_or(usize::MAX, |limit| limit - report.runs.len());
        let page = store.list(query.clone()).await?;
        let numbers: Vec<RunId> = page.iter().take(left).map(|one| RunId(one.run)).collect();
        let loaded = store.load(&numbers).await?.into_iter().map(|(_, loaded)| loaded).collect();
        report.runs.extend(apart(loaded, registry.clone(), limits, strict).await?);
        let full = page.len() >= PAGE as usize && numbers.len() == page.len();
        match page.last().filter(|_| full) {
            Some(last) => query.after = Some(last.run),
            None => return Ok(report),
        }
    }
}

/// On a thread without tokio, as workflows have: its hash keys are new.
async fn apart(
    loaded: Vec<Result<StoredRun, Damage>>,
    registry: Registry,
    limits: Limits,
    strict: bool,
) -> Result<Vec<CheckedRun>, Error> {
    let (answer, checked) = tokio::sync::oneshot::channel();
    let body = move || {
        let checked = loaded.into_iter().map(|one| examine(&registry, one, limits, strict));
        // Whoever asked may have gone.
        let _gone = answer.send(checked.collect());
    };
    let failed =
        |error| Error::because(ErrorKind::Unavailable, "no thread could be started", error);
    std::thread::Builder::new().name("check".to_owned()).spawn(body).map_err(failed)?;
    let gone = |_| Error::new(ErrorKind::Unavailable, "the check ended before its answer");
    checked.await.map_err(gone)
}

fn examine(
    registry: &Registry,
    loaded: Result<StoredRun, Damage>,
    limits: Limits,
    strict: bool,
) -> CheckedRun {
    match loaded {
        Ok(stored) => {
            let (workflow, id) = (stored.record.workflow.to_string(), stored.record.id.to_string());
            CheckedRun { workflow, id, verdict: verdict(registry, &stored, limits, strict) }
        }
        Err(Damage { workflow, id, reason }) => {
            CheckedRun { workflow, id, verdict: Verdict::Unreadable(reason) }
        }
    }
}

fn verdict(registry: &Registry, stored: &StoredRun, limits: Limits, strict: bool) -> Verdict {
    let StoredRun { record, history, .. } = stored;
    let replay = || {
        let info = RunInfo::of(record, limits, strict);
        begin(registry, record, limits).and_then(|future| rehearse(info, future, record, history))
    };
    match replay() {
        Ok(next) if next.is_empty() => Verdict::Replays,
        Ok(next) => Verdict::WouldStart(next),
        Err(Fault::Mismatch(first)) => match second_opinion(&first, replay) {
            Some(Fault::Mismatch(proven)) => Verdict::Mismatch(proven),
            _ => Verdict::Mismatch(first),
        },
        Err(Fault::Unregistered) => Verdict::NotRegistered,
        Err(fault) => Verdict::Unreadable(fault.explain()),
    }
}

fn begin(registry: &Registry, record: &RunRecord, limits: Limits) -> Result<WorkflowFuture, Fault> {
    let definition = registry.find(&record.workflow).ok_or(Fault::Unregistered)?;
    let begun = crate::panics::catch(|| (definition.begin)(&record.args, limits));
    let begun = begun.map_err(Fault::Panicked)?;
    begun.map_err(|error| Fault::Undecodable { what: "its arguments".to_owned(), error })
}
