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
    /// Cancelled or terminated.
    Cancelled,
    /// It brought its process down too often, and is not tried again until it
    /// is redriven.
    Dead,
    /// Ended by [`restart_with`](crate::workflow::restart_with): the next
    /// generation, under the same workflow id, goes on.
    Continued,
}

impl Status {
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    const ALL: [Self; 9] = [
        Self::Queued,
        Self::Running,
        Self::Waiting,
        Self::Blocked,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Dead,
        Self::Continued,
    ];

    /// Whether the run has ended; its result does not change again, unless a
    /// dead run is redriven.
    #[must_use]
    pub fn is_ended(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Waiting | Self::Blocked => false,
            Self::Completed | Self::Failed | Self::Cancelled | Self::Dead | Self::Continued => true,
        }
    }

    /// Whether people have to look at it.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Cancelled | Self::Dead)
    }
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
            Self::Continued => "continued",
        }
    }

    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
