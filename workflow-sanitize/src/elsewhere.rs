//! Where no symbol is defined nothing is watched: the same functions, empty.

use crate::Finding;

/// Where findings go: there are none on this platform.
#[derive(Clone, Debug, Default)]
pub struct Log(());

impl Log {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing goes there on this platform.
    pub fn here(&self) -> Here {
        Here(())
    }

    /// What was found: nothing, on this platform.
    #[must_use]
    pub fn take(&self) -> Vec<Finding> {
        Vec::new()
    }
}

/// Nothing goes to a log while it is there.
#[derive(Debug)]
#[must_use = "the log is this thread's until it is dropped"]
pub struct Here(());

/// The body, as it is.
pub fn inherited<R>(body: impl FnOnce() -> R) -> impl FnOnce() -> R {
    body
}

/// Runs `body`. Nothing is watched on this platform.
pub fn watch<R>(_label: &str, body: impl FnOnce() -> R) -> R {
    body()
}

/// Looks away until the value is dropped. There is nothing to see here.
pub fn unwatched() -> Unwatched {
    Unwatched(())
}

/// Nothing is watched while it is there.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Unwatched(());
