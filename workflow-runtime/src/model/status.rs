//! Where a run stands.

use std::fmt;

/// Where a run stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Status {
    /// Accepted; no worker has it in hand.
    Queued,
    /// A worker has it in hand.
    Running,
    /// Out of memory until a timer or a retry is due; also free after a
    /// restart, until a worker has it in hand again.
    Waiting,
    /// Set aside with a report; goes on when a build that can continue it runs.
    Blocked,
    /// Ended with `Ok`.
    Completed,
    /// Ended with `Err`.
    Failed,
}

impl Status {
    /// Whether the run has ended; its result never changes again.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Completed => "completed",
            Self::Failed => "failed",
        })
    }
}
