//! Where runs live: the contract of a store, and what implements it.
//!
//! A store keeps and compares; it decides nothing. No statement of it reads a
//! clock or makes a random value.

mod backoff;
mod committer;
#[cfg(test)]
mod conformance;
pub(crate) mod decorate;
#[cfg(any(test, feature = "testing"))]
mod disturbed;
mod endings;
mod fleet;
mod memory;
mod numbers;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod prefix;
mod pulse;
mod sealed;
#[cfg(feature = "sqlite")]
mod sqlite;
mod starts;
mod watched;

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub(crate) use backoff::Backoff;
pub(crate) use committer::{Committer, Envelope, Reply};
#[cfg(any(test, feature = "testing"))]
pub(crate) use disturbed::{Disturbance, Disturbed};
pub(crate) use endings::{Ending, Endings, tell_ends};
pub(crate) use fleet::{Alive, Fleet, Member, Seen};
pub(crate) use memory::MemoryStore;
#[cfg(test)]
pub(crate) use memory::Tables;
pub(crate) use numbers::Numbers;
#[cfg(feature = "postgres")]
pub(crate) use postgres::{PostgresOptions, PostgresStore, schema_script};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use prefix::after_prefix;
pub(crate) use pulse::{Pulse, Reading};
pub(crate) use sealed::SealedStore;
#[cfg(feature = "sqlite")]
pub(crate) use sqlite::{SqliteOptions, SqliteStore};
pub(crate) use starts::{Accepted, NewRun, Starts};
pub(crate) use watched::WatchedStore;

use crate::clock::Timestamp;
use crate::error::{Error, Failure, FailureKind};
use crate::model::{
    AllNews, Answer, Command, Commanded, DeadLetter, End, Ended, Event, Item, Post, RunId,
    RunQuery, RunRecord, RunSummary, Shown, StoredRun, Undelivered, WriterId, check_id,
};

/// Largest single value of an item, in bytes: mostly what one turn decided. An
/// item of many events may be larger.
pub(crate) const MAX_VALUE: usize = 64 << 20;

/// Why no store takes the item, if none does.
pub(crate) fn refusal(item: &Item) -> Option<Answer> {
    if let Some(Err(fault)) = item.start.as_ref().map(|start| check_id(&start.id)) {
        return Some(Answer::Refused(fault));
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
    /// Commits a batch as one transaction; answers each item, in order. May
    /// block its thread: called from threads of the engine only.
    ///
    /// An item that cannot go in leaves the others alone. An item that is in
    /// already – its first row is there, of the same writer, kind, call and
    /// time – is answered as it was. A batch holds at
    /// most one item of a run.
    ///
    /// # Errors
    ///
    /// What became of the batch is unknown: send the same items again.
    async fn commit(&self, items: &[Item]) -> Result<Vec<Answer>, Error>;

    /// How many commits may be under way at one time.
    fn lanes(&self) -> usize {
        1
    }

    /// Where other workers have the same store beside this one. None: there is
    /// one worker, which takes over everything at its start.
    fn fleet(&self) -> Option<Arc<dyn Fleet>> {
        None
    }

    /// Takes `count` numbers; returns the first.
    async fn reserve(&self, counter: Counter, count: u32) -> Result<i64, Error>;

    /// Every open run that those workers hold is free and due, except those
    /// that `build` refused; what other builds refused is due too. What brought
    /// down its process too often is dead.
    async fn take_over(&self, over: TakeOver) -> Result<(), Error>;

    /// Gives `writer` up to `limit` runs that are due and free, those due
    /// first first, of those that were claimed so often without getting
    /// further.
    async fn claim(
        &self,
        writer: WriterId,
        now: Timestamp,
        limit: u32,
        claims: RangeInclusive<u32>,
    ) -> Result<Vec<RunId>, Error>;

    /// Those of `runs` that are open and got no further since they were claimed.
    async fn suspected(&self, runs: &[RunId]) -> Result<Vec<RunId>, Error>;

    /// Suspects that did no harm.
    async fn vindicate(&self, runs: &[RunId]) -> Result<(), Error>;

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

    /// The first run of that workflow id: as it was started.
    async fn find_first(&self, id: &str) -> Result<Option<RunRecord>, Error>;

    /// The events of a run, oldest first.
    async fn history(&self, run: RunId) -> Result<Vec<Event>, Error>;

    /// The ends of those runs that have ended.
    async fn ends(&self, runs: &[RunId]) -> Result<Vec<(RunId, End)>, Error>;

    /// Takes what somebody asks of a run.
    async fn command(&self, run: RunId, command: Command) -> Result<Commanded, Error>;

    /// What `writer` has yet to act on, oldest first.
    async fn open_commands(&self, writer: WriterId) -> Result<Vec<(RunId, Command)>, Error>;

    /// The owner dropped a run that was terminated.
    async fn terminated(&self, run: RunId) -> Result<(), Error>;

    /// Runs that the query asks for, newest first.
    async fn list(&self, query: RunQuery) -> Result<Vec<RunSummary>, Error>;

    /// What waits for people, newest first, from before number `after`.
    async fn dead_letters(&self, after: Option<i64>, limit: u32) -> Result<Vec<DeadLetter>, Error>;

    /// Some completed runs with numbers above `after` that ended before a time, and
    /// generations that others followed, but never the first: it holds the id.
    async fn old(&self, after: RunId, before: Timestamp) -> Result<Sweep, Error>;

    /// Deletes runs that have ended; returns how many. With the last generation of
    /// a run go those before it, and its id is free.
    async fn delete(&self, runs: &[RunId]) -> Result<u32, Error>;

    /// Delivers signals; answers each, in order. One that was accepted before is
    /// accepted again, and is there once.
    async fn post(&self, posts: Vec<Post>) -> Result<Vec<Result<(), Undelivered>>, Error>;

    /// What the run of that workflow id shows.
    async fn shown(&self, id: &str) -> Result<Option<Shown>, Error>;

    /// The reply to a request of a client, if it has come.
    async fn reply(&self, message: &str) -> Result<Option<Arc<str>>, Error>;

    /// The client has read it.
    async fn reply_read(&self, message: &str) -> Result<(), Error>;

    /// What has come for runs of `writer` since it was told last, some of them.
    async fn news(&self, writer: WriterId) -> Result<AllNews, Error>;

    /// Writes a copy of everything to a file.
    async fn backup(&self, to: &Path) -> Result<(), Error>;

    /// Whether another process wrote since this was asked last.
    async fn changed(&self) -> Result<bool, Error>;

    /// Closes files and connections. Nothing works afterwards.
    async fn close(&self);
}

/// What a new life takes over from those before it.
#[derive(Clone, Debug)]
pub(crate) struct TakeOver {
    pub(crate) writer: WriterId,
    /// From whom.
    pub(crate) of: Of,
    pub(crate) build: String,
    pub(crate) now: Timestamp,
    /// A run that was claimed so often without getting further is dead.
    pub(crate) max_claims: u32,
    /// A suspect waits so long, times the square of its claims but one.
    pub(crate) pause: Duration,
}

/// From whom runs are taken over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of {
    /// From all others: there is one worker at a time.
    All,
    /// From one that was declared dead.
    Worker(WriterId),
    /// From nobody: only what other builds refused is tried.
    Nobody,
}

/// A run that was claimed so often without getting further is suspected of
/// bringing its process down.
pub(crate) const SUSPECT: u32 = 2;

/// Runs that were claimed no more often than sound ones are.
pub(crate) const SOUND: RangeInclusive<u32> = 0..=SUSPECT - 1;

/// Completed runs to be deleted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sweep {
    pub(crate) runs: Vec<RunId>,
    /// Where to go on. None: nothing follows.
    pub(crate) next: Option<RunId>,
    /// Everything here was accepted later than that time.
    pub(crate) is_young: bool,
}

fn end_of(kind: FailureKind, how: Ended, message: String, at: Timestamp) -> End {
    let failure = Failure::of_kind(kind, message);
    End { how, output: serde_json::json!({ "failure": failure }).to_string().into(), at }
}

/// The end of a run that brought its process down too often.
pub(crate) fn dead(claims: u32, at: Timestamp) -> End {
    let message = format!(
        "its process ended {claims} times in a row while it ran, before it got any further: it is \
         not tried again until it is redriven"
    );
    end_of(FailureKind::Dead, Ended::Dead, message, at)
}

/// The end of a run that was terminated.
pub(crate) fn terminated(command: &Command) -> End {
    end_of(FailureKind::Cancelled, Ended::Cancelled, command.message(), command.at)
}

/// The reply to a request whose run ended without one.
pub(crate) fn unanswered() -> String {
    let message = "the run ended without an answer";
    let failure = Failure::of_kind(FailureKind::Unanswered, message);
    serde_json::json!({ "failure": failure }).to_string()
}

/// Why a signal waits for people.
pub(crate) fn unread_reason(name: &str) -> String {
    format!("the run ended before it received `{name}`")
}

/// The message that a signal becomes which a run had and did not take.
pub(crate) fn not_taken_id(run: RunId, n: usize) -> String {
    format!("not-taken-{run}-{n}")
}

/// The number that it has in the mailbox of the next generation: before all that
/// came later.
pub(crate) fn not_taken_number(next: RunId, n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX).saturating_sub(next.0 << 24)
}

/// What an end by the runtime says.
pub(crate) fn reason_of(end: &End) -> String {
    let failure = serde_json::from_str::<serde_json::Value>(&end.output).ok();
    let message = failure.as_ref().and_then(|end| end.pointer("/failure/message"));
    message.and_then(|message| message.as_str()).unwrap_or_default().to_owned()
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
