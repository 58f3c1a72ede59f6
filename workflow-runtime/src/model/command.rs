//! What people ask of a run from outside.

use std::sync::Arc;

use crate::clock::Timestamp;

/// What is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CommandKind {
    /// Drop the workflow's future, except what is shielded.
    Cancel,
    /// End it now, whatever its code says.
    Terminate,
    /// Try it again although this build could not go on with it.
    Retry,
    /// Open it again although it is dead.
    Redrive,
}

impl CommandKind {
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    const ALL: [Self; 4] = [Self::Cancel, Self::Terminate, Self::Retry, Self::Redrive];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Terminate => "terminate",
            Self::Retry => "retry",
            Self::Redrive => "redrive",
        }
    }

    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What is asked, and by whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Command {
    /// Given by the store, in the order in which a run was asked; from 1.
    pub(crate) number: i64,
    pub(crate) kind: CommandKind,
    pub(crate) by: Arc<str>,
    pub(crate) reason: Option<Arc<str>>,
    pub(crate) at: Timestamp,
}

impl Command {
    /// What a run that ended by it says.
    pub(crate) fn message(&self) -> String {
        let what = match self.kind {
            CommandKind::Terminate => "terminated",
            CommandKind::Cancel | CommandKind::Retry | CommandKind::Redrive => "cancelled",
        };
        match &self.reason {
            Some(reason) => format!("{what} by {}: {reason}", self.by),
            None => format!("{what} by {}", self.by),
        }
    }
}

/// What became of a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Commanded {
    /// It is durable.
    Accepted,
    /// The run has ended.
    Ended,
    /// It is not blocked, or not dead: there is nothing to do.
    Idle,
    /// There is no such run.
    Unknown,
}
