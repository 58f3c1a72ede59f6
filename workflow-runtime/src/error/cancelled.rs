//! The error of code that was cancelled and goes on.

use std::fmt;

/// The run was cancelled while it waited in
/// [`workflow::cancellable`](crate::workflow::cancellable). By `?` it becomes a
/// [`Failure`](crate::Failure) of kind
/// [`Cancelled`](crate::FailureKind::Cancelled).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cancelled(pub(crate) ());

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the run was cancelled")
    }
}

impl std::error::Error for Cancelled {}
