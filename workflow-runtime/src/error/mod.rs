//! What can go wrong: [`Failure`], the error of steps and workflows, and
//! [`Error`], what the client API returns.

mod cancelled;
mod failure;

use std::fmt;

pub use cancelled::Cancelled;
pub use failure::{BoxError, ErrorType, Failure, FailureKind, Result};

/// What starting, finding or building failed with: an ordinary error.
///
/// To act on it, match [`kind`](Self::kind); to report it, print it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<BoxError>,
}

/// How to react to an [`Error`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store did not answer. The operation may be tried again.
    Unavailable,
    /// The workflow id is taken by a run of another workflow or with other
    /// arguments. Choose another id, or call with the same arguments.
    Conflict,
    /// There is no such run.
    NotFound,
    /// The run has ended: it receives nothing more.
    Ended,
    /// Too many signals wait for the run. Send again when it has received some.
    MailboxFull,
    /// The runtime cannot work as it was configured: a bad URL, missing state,
    /// two workflows of one name, a schema of a newer version. Mend it.
    Configuration,
    /// Another runtime owns the database file. Stop it, or use another file.
    Owned,
    /// A value is over a configured limit, or cannot be stored as JSON.
    Unstorable,
    /// The runtime was shut down; nothing new is accepted.
    ShutDown,
    /// Stored data could not be read back.
    Corrupt,
    /// This worker was declared dead by another one, which goes on with its
    /// runs. It writes nothing any more.
    Fenced,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn because(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<BoxError>,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(source.into()) }
    }

    /// How to react.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The message already ends in the cause; what lies behind it is next.
        self.source.as_ref().and_then(|source| source.source())
    }
}
