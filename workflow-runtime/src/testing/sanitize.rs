//! What the functions that a workflow calls read beside its history. Feature
//! `sanitize`.

use std::sync::Arc;

use workflow_sanitize::{Finding, Here, Kind, Log};

use super::world::World;
use crate::model::{RunRecord, StoredRun};

/// What was found while a test ran is a violation of it.
pub(super) fn check(world: &World, log: &Log, stored: &[StoredRun]) {
    let workflow = |id: &str| {
        let run = stored.iter().find(|run| &*run.record.id == id);
        run.map(|run| &*run.record.workflow)
    };
    for violation in texts(&log.take(), workflow) {
        world.violation(violation);
    }
}

/// What is found from its begin to its end while histories of one workflow are
/// replayed.
pub(super) struct Replays {
    workflow: Arc<str>,
    log: Log,
    here: Here,
}

impl Replays {
    pub(super) fn of(record: &RunRecord) -> Self {
        let log = Log::new();
        let here = log.here();
        Self { workflow: Arc::clone(&record.workflow), log, here }
    }

    /// # Errors
    ///
    /// Something was found.
    pub(super) fn end(self) -> Result<(), String> {
        let Self { workflow, log, here } = self;
        drop(here);
        let violations = texts(&log.take(), |_id| Some(&workflow));
        if violations.is_empty() { Ok(()) } else { Err(violations.join("\n  ")) }
    }
}

/// A text for each place. The label of a finding is the id of its run.
fn texts<'a>(found: &'a [Finding], workflow: impl Fn(&str) -> Option<&'a str>) -> Vec<String> {
    let mut known = Vec::new();
    let mut texts = Vec::new();
    for finding in found {
        let workflow = workflow(&finding.label);
        let place = (workflow, finding.kind, &finding.place);
        if !known.contains(&place) {
            known.push(place);
            let who = workflow.map(|name| format!("workflow `{name}`"));
            let who = who.unwrap_or_else(|| format!("the workflow of run `{}`", finding.label));
            texts.push(text(&who, finding));
        }
    }
    texts
}

fn text(who: &str, finding: &Finding) -> String {
    let (does, instead) = words(finding.kind);
    let Finding { function, place, called, .. } = finding;
    let way = called.as_ref().map(|called| format!("\n    by way of {called}"));
    let way = way.unwrap_or_default();
    format!(
        "{who} {does}, and a replay may find something else ({function})\n    at {place}{way}\n    \
         {instead}\n    if it steers nothing: `workflow::nondeterministic!(\"why it is safe\", ..)`"
    )
}

/// What the workflow does, and what to write instead.
fn words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Clock => (
            "reads a clock",
            "use `workflow::now()`: the time of the last event, the same in every replay",
        ),
        Kind::Random => (
            "draws a random value",
            "use `workflow::uuid()` or `workflow::random()`: drawn from the run's stored seed; for \
             a secret, a `#[step]`",
        ),
        Kind::Environment => (
            "reads the environment",
            "read it in a `#[step]`, or make it an argument of the workflow",
        ),
        Kind::File => ("opens a file", "read and write files in a `#[step]`"),
        Kind::Socket => ("uses the network", "talk to others in a `#[step]`"),
        Kind::Thread => (
            "starts a thread",
            "compute in a `#[step]`; branches of a workflow: `tokio::join!`, `workflow::spawn(..)`",
        ),
    }
}
