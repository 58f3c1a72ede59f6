//! What one run wants written, atomically, and what the store answers.

use std::sync::Arc;

use super::{CallId, Event, RunId, WriterId};
use crate::clock::Timestamp;

/// What one run wants committed together. Sent again after a lost reply it is
/// in the store once.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) run: RunId,
    pub(crate) writer: WriterId,
    /// Creates the run. Refused if its workflow id is taken.
    pub(crate) start: Option<Start>,
    /// Consecutive rows. Refused if the row before the first is missing or the
    /// first is there from another writer.
    pub(crate) events: Vec<Event>,
    /// Attempts that failed and will be followed by another.
    pub(crate) failed_attempts: Vec<FailedAttempt>,
    /// Calls whose failed attempts can go: their result is among `events`.
    pub(crate) settled: Vec<CallId>,
    pub(crate) end: Option<End>,
    /// The run leaves memory and is due again then.
    pub(crate) park: Option<Timestamp>,
    /// The run is set aside.
    pub(crate) block: Option<Block>,
    /// What set it aside before is over.
    pub(crate) unblock: bool,
}

/// A new run.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) workflow: Arc<str>,
    /// The user's name for the run.
    pub(crate) id: Arc<str>,
    /// JSON list.
    pub(crate) args: Arc<str>,
    pub(crate) seed: i64,
    /// JSON: what the first turn decided; none if it has not run.
    pub(crate) decided: Option<Arc<str>>,
    pub(crate) at: Timestamp,
}

/// The end of a run.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// Completed, or failed.
    pub(crate) ok: bool,
    /// JSON: the result.
    pub(crate) output: Arc<str>,
    #[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "kept by SQL stores"))]
    pub(crate) at: Timestamp,
}

/// Why a run is set aside.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// The build that cannot go on with it.
    pub(crate) build: Arc<str>,
    /// JSON of a `Blocked`.
    pub(crate) report: Arc<str>,
    pub(crate) at: Timestamp,
}

/// An attempt of a step that failed and will be followed by another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FailedAttempt {
    pub(crate) call: CallId,
    /// From 1.
    pub(crate) attempt: u32,
    pub(crate) error: Arc<str>,
    /// When the next one starts.
    pub(crate) retry_at: Timestamp,
}

impl Item {
    pub(crate) fn new(run: RunId, writer: WriterId) -> Self {
        Self {
            run,
            writer,
            start: None,
            events: Vec::new(),
            failed_attempts: Vec::new(),
            settled: Vec::new(),
            end: None,
            park: None,
            block: None,
            unblock: false,
        }
    }

    /// Bytes of text it carries.
    pub(crate) fn weight(&self) -> usize {
        self.texts().map(|text| text.len()).sum()
    }

    /// Bytes of its largest text.
    pub(crate) fn largest(&self) -> usize {
        self.texts().map(|text| text.len()).max().unwrap_or(0)
    }

    fn texts(&self) -> impl Iterator<Item = &Arc<str>> {
        let starts = self.start.iter().flat_map(|start| {
            [Some(&start.id), Some(&start.args), start.decided.as_ref()].into_iter().flatten()
        });
        let events = self.events.iter();
        let events = events.flat_map(|event| event.payload.iter().chain(&event.decided));
        let attempts = self.failed_attempts.iter().map(|failed| &failed.error);
        let ends = self.end.iter().map(|end| &end.output);
        let blocks = self.block.iter().map(|block| &block.report);
        starts.chain(events).chain(attempts).chain(ends).chain(blocks)
    }
}

/// What became of an item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// It is durable, by this or an earlier sending.
    Committed,
    /// The workflow id of the start belongs to this run.
    Taken(RunId),
    /// Another writer was first, or the run has ended.
    Conflict,
    /// The row before its first is not there: the store forgot something that
    /// it had acknowledged.
    MissingPredecessor,
    /// It can never be stored; the reason.
    Refused(String),
}

/// One run as the store has it, without its history.
#[derive(Clone, Debug)]
pub(crate) struct RunRecord {
    pub(crate) run: RunId,
    pub(crate) workflow: Arc<str>,
    pub(crate) id: Arc<str>,
    pub(crate) args: Arc<str>,
    pub(crate) seed: i64,
    pub(crate) decided: Option<Arc<str>>,
    pub(crate) created: Timestamp,
    pub(crate) end: Option<End>,
    pub(crate) open: Option<OpenRun>,
}

/// What is known of a run only while it is open.
#[derive(Clone, Debug)]
pub(crate) struct OpenRun {
    pub(crate) due: Timestamp,
    pub(crate) owned: bool,
    /// JSON of a `Blocked`, if it is set aside.
    pub(crate) blocked: Option<Arc<str>>,
}

/// One open run with everything needed to go on with it.
#[derive(Clone, Debug)]
pub(crate) struct StoredRun {
    pub(crate) record: RunRecord,
    pub(crate) history: Vec<Event>,
    pub(crate) failed_attempts: Vec<FailedAttempt>,
}
