//! Where runs live: the contract of a store, and what implements it.
//!
//! A store keeps and compares; it decides nothing. No statement of it reads a
//! clock or makes a random value.

mod committer;
#[cfg(test)]
mod conformance;
#[cfg(any(test, feature = "testing"))]
mod disturbed;
mod endings;
mod memory;
mod numbers;
#[cfg(feature = "sqlite")]
mod sqlite;
mod starts;

use async_trait::async_trait;

pub(crate) use committer::{Committer, Envelope};
#[cfg(any(test, feature = "testing"))]
pub(crate) use disturbed::{Disturbance, Disturbed};
pub(crate) use endings::{Ending, Endings};
pub(crate) use memory::MemoryStore;
#[cfg(test)]
pub(crate) use memory::Tables;
pub(crate) use numbers::Numbers;
#[cfg(feature = "sqlite")]
pub(crate) use sqlite::{SqliteOptions, SqliteStore};
pub(crate) use starts::{Accepted, NewRun, Starts};

use crate::clock::Timestamp;
use crate::error::Error;
use crate::model::{Answer, Event, Item, RunId, RunRecord, StoredRun, WriterId};

/// Longest workflow id, in bytes.
pub(crate) const MAX_ID: usize = 512;

/// Largest single value of an item, in bytes: mostly what one turn decided. An
/// item of many events may be larger.
pub(crate) const MAX_VALUE: usize = 64 << 20;

/// Why no store takes the item, if none does.
pub(crate) fn refusal(item: &Item) -> Option<Answer> {
    if let Some(start) = &item.start
        && (start.id.is_empty() || start.id.len() > MAX_ID)
    {
        let found = start.id.len();
        return Some(Answer::Refused(format!(
            "a workflow id has 1 to {MAX_ID} bytes, and this one {found}"
        )));
    }
    let largest = item.largest();
    (largest > MAX_VALUE).then(|| {
        Answer::Refused(format!(
            "a stored value has at most {MAX_VALUE} bytes, and this one {largest}: make fewer \
             calls at once, or pass references to large data"
        ))
    })
}

/// A counter that never gives a number twice.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Counter {
    Runs,
    Writers,
}

/// Keeps runs. Every error is of the store, never of a run: unknown is not
/// failed, and the same call may be made again.
#[async_trait]
pub(crate) trait Store: Send + Sync + 'static {
    /// Commits a batch as one transaction; answers each item, in order.
    ///
    /// An item that cannot go in leaves the others alone. An item that is in
    /// already, from the same writer, is answered `Committed`. A batch holds
    /// at most one item of a run.
    ///
    /// # Errors
    ///
    /// What became of the batch is unknown: send the same items again.
    async fn commit(&self, items: &[Item]) -> Result<Vec<Answer>, Error>;

    /// Takes `count` numbers; returns the first.
    async fn reserve(&self, counter: Counter, count: u32) -> Result<i64, Error>;

    /// For the one owner of the store at its start: every open run that
    /// `writer` does not hold is free and due, except those that wait for a
    /// time and those that `build` refused.
    async fn take_over(&self, writer: WriterId, build: &str, now: Timestamp) -> Result<(), Error>;

    /// Gives `writer` up to `limit` runs that are due and free, those due
    /// first first.
    async fn claim(
        &self,
        writer: WriterId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<RunId>, Error>;

    /// The runs that `writer` holds.
    async fn owned(&self, writer: WriterId) -> Result<Vec<RunId>, Error>;

    /// Runs with their histories; for a damaged one, what is wrong with it.
    /// A run that is not there is not in the answer.
    async fn load(&self, runs: &[RunId]) -> Result<Vec<(RunId, Loaded)>, Error>;

    /// When the next free run is due.
    async fn next_due(&self) -> Result<Option<Timestamp>, Error>;

    /// Frees what `writer` holds: it is due at once.
    async fn release(&self, writer: WriterId, now: Timestamp) -> Result<(), Error>;

    /// The newest run of that workflow id.
    async fn find(&self, id: &str) -> Result<Option<RunRecord>, Error>;

    /// The events of a run, oldest first.
    async fn history(&self, run: RunId) -> Result<Vec<Event>, Error>;

    /// Closes files and connections. Nothing works afterwards.
    async fn close(&self);
}

/// A run as it was read, or what is wrong with its rows.
pub(crate) type Loaded = Result<StoredRun, Damage>;

/// Why the rows of one run cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    /// What the rest of the engine may need of the run.
    pub(crate) workflow: String,
    pub(crate) id: String,
    pub(crate) reason: String,
}
