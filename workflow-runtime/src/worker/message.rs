//! What a workflow thread is told.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::model::{CallId, Command, News, RunId, StepRun, StoredRun};
use crate::store::{Damage, NewRun, Reply};

/// A run in a thread's memory. The slot finds it; the number tells whether it
/// is still the same run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) thread: usize,
    pub(super) slot: usize,
    pub(super) run: RunId,
}

/// A message to a workflow thread.
pub(super) enum Message {
    /// A client starts a run.
    Start(Box<NewRun>),
    /// A stored run is to go on; it has a run slot.
    Recover(Box<StoredRun>),
    /// A run that was read again while it may have been in memory; it has a run
    /// slot.
    Reread(Box<StoredRun>),
    /// All runs that were read again at one time were handed out.
    AllReread,
    /// A stored run cannot be read; it has a run slot.
    Damaged(RunId, Damage),
    /// A run of the thread before this one; it has a run slot.
    ReadBack(Box<StoredRun>),
    /// A turn of that run did not return; it has a run slot.
    Stuck(Box<StoredRun>),
    /// All runs of the thread before this one were read back.
    AllReadBack,
    /// An attempt of a step, by its number, ended.
    Ended(Ticket, CallId, u32, StepRun),
    /// A step said how far it is.
    Heartbeat(Ticket, CallId, Arc<str>),
    /// The store says that these are the worker's: what is not in memory is to be
    /// read.
    Owned(Vec<RunId>),
    /// Somebody asked something of a run.
    Command(RunId, Command),
    /// Messages have come for a run.
    News(News),
    /// What became of items.
    Answers(Vec<Reply<Ticket>>),
    /// The worker is known to live again: what waited for that begins.
    Renewed,
    /// Start nothing more; tell when nothing runs.
    Drain(oneshot::Sender<()>),
}

impl Message {
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::Answers(_))
    }

    /// Whether it is the end of an attempt in that run.
    pub(super) fn is_end_in(&self, run: RunId) -> bool {
        matches!(self, Self::Ended(ticket, ..) if ticket.run == run)
    }
}
