//! What a workflow thread is told.

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::model::{Answer, CallId, RunId, StepRun, StoredRun};
use crate::store::{Damage, NewRun};

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
    /// A stored run is to go on.
    Recover(Box<StoredRun>),
    /// A stored run cannot be read.
    Damaged(RunId, Damage),
    /// An attempt of a step ended.
    Ended(Ticket, CallId, StepRun),
    /// An attempt has a task of its own, and can be stopped.
    Spawned(Ticket, CallId, AbortHandle),
    /// What became of items.
    Answers(Vec<(Ticket, Answer)>),
    /// Start nothing more; tell when nothing runs.
    Drain(oneshot::Sender<()>),
}
