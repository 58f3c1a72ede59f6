//! What the database says when it does not do what it is asked.

use crate::error::{Error, ErrorKind};

pub(super) fn unavailable(error: sqlx::Error) -> Error {
    if let sqlx::Error::PoolClosed = error {
        return Error::new(ErrorKind::ShutDown, "the store was closed");
    }
    Error::because(ErrorKind::Unavailable, "the database did not answer", error)
}

/// A row was in the way of another.
pub(super) fn is_in_the_way(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    error.is_unique_violation()
}

/// What is wrong, if the fault is one item's own: a value that cannot be
/// stored. Any other error is the store's.
pub(super) fn of_an_item(error: &sqlx::Error) -> Option<String> {
    let sqlx::Error::Database(error) = error else { return None };
    let code = error.code()?;
    // Data exceptions, broken constraints, limits of the program.
    let own = code.starts_with("22") || code.starts_with("23") || code.starts_with("54");
    // Division by zero: a batch that was not what it should be is tried again.
    (own && code != "22012").then(|| error.message().to_owned())
}
