//! Workers that share a store: who lives, and who is taken over.

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::model::WriterId;

/// A worker as it joins.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "postgres"),
    allow(dead_code, reason = "read by a store that many workers share")
)]
pub(crate) struct Member {
    pub(crate) writer: WriterId,
    pub(crate) build: String,
    /// The names of the workflows that it can run, old ones too.
    pub(crate) workflows: Vec<String>,
    pub(crate) host: String,
    pub(crate) process: u32,
    pub(crate) at: Timestamp,
}

/// A worker as it was seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) worker: WriterId,
    /// Moves as long as it lives.
    pub(crate) beat: i64,
    /// It was not declared dead.
    pub(crate) live: bool,
}

/// What a worker that lives is told when it shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alive {
    /// The store's time.
    pub(crate) at: Timestamp,
    /// A newer build brought the schema further than this one knows.
    pub(crate) is_outdated: bool,
}

/// What workers of one store know of each other.
#[async_trait]
pub(crate) trait Fleet: Send + Sync + 'static {
    /// A worker joins: from now on it claims what it can run.
    async fn join(&self, member: Member) -> Result<(), Error>;

    /// A worker lives. None: it was declared dead, and writes nothing any more.
    async fn beat(&self, writer: WriterId) -> Result<Option<Alive>, Error>;

    /// The other workers: those that were not declared dead, and those that were
    /// and still hold runs.
    async fn others(&self, writer: WriterId) -> Result<Vec<Seen>, Error>;

    /// Declares a worker dead whose beat has not moved since it was seen.
    /// When this returns, nothing of it is under way any more.
    async fn declare_dead(&self, seen: Seen) -> Result<(), Error>;

    /// A worker ends in good order.
    async fn leave(&self, writer: WriterId) -> Result<(), Error>;

    /// Tells other processes, soon, that there may be something to do.
    fn announce(&self);

    /// Tells other processes, soon, that runs have ended.
    fn announce_ends(&self);

    /// Whether another process told of ends since this was asked last.
    fn ended_elsewhere(&self) -> bool;
}
