//! What the database says when it does not do what it is asked. No fault of it
//! is a workflow's own: each says what helps.

use crate::error::{Error, ErrorKind};

/// What helps.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// Another connection, perhaps to another server.
    Lost,
    /// The same once more, at once: others were in the way.
    Again,
    /// The same, later.
    Wait,
    /// Nothing: a value of an item can never be stored. Why.
    Item(String),
}

impl Fault {
    pub(super) fn of(error: &sqlx::Error) -> Self {
        let sqlx::Error::Database(said) = error else {
            return if is_unreadable(error) { Self::Wait } else { Self::Lost };
        };
        let code = said.code().unwrap_or_default();
        match &*code {
            // Serialization, deadlock, a lock that was not free in time.
            "40001" | "40P01" | "55P03" => Self::Again,
            // Statements that were prepared before the schema changed; a server that goes
            // down, or takes no writes (any more); a session that was ended.
            "0A000" | "26000" | "25006" | "25P03" => Self::Lost,
            // A batch that was not what it should be.
            "22012" => Self::Again,
            // Data that cannot be stored, broken constraints, limits of the program.
            _ if ["22", "23", "54"].iter().any(|class| code.starts_with(class)) => {
                Self::Item(said.message().to_owned())
            }
            // Stopped by a timeout or by somebody: the connection lives.
            "57014" => Self::Wait,
            _ if ["08", "57", "28", "3D", "F0", "XX"]
                .iter()
                .any(|class| code.starts_with(class)) =>
            {
                Self::Lost
            }
            // The disk is full, no memory, what is missing or not permitted.
            _ => Self::Wait,
        }
    }
}

/// Whether nothing is known of the connection.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    Fault::of(error) == Fault::Lost
}

/// What came was whole, and is not what a row of ours is.
fn is_unreadable(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::Decode(_)
            | sqlx::Error::Encode(_)
            | sqlx::Error::RowNotFound
    )
}

/// Whether trying again is of no use until somebody changes something: who may
/// do what, in which database, with which certificate.
pub(super) fn is_refused(error: &sqlx::Error) -> bool {
    if let sqlx::Error::Io(error) = error {
        return error.kind() == std::io::ErrorKind::InvalidData;
    }
    let code = error.as_database_error().and_then(|said| said.code()).unwrap_or_default();
    let is_ours = is_unreadable(error)
        || matches!(error, sqlx::Error::Tls(_) | sqlx::Error::Configuration(_));
    is_ours || code.starts_with("28") || code.starts_with("42") || code == "3D000"
}

/// A row was in the way of another.
pub(super) fn is_in_the_way(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    error.is_unique_violation()
}

/// An error of the store's, in words.
pub(super) fn unavailable(error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|said| said.code());
    let message = match code.as_deref().unwrap_or_default() {
        "53100" => "the disk of the database is full",
        "53200" => "the database has no memory left",
        "53300" => "the database takes no more connections: raise `max_connections`",
        "25006" => "the server takes no writes: it is a standby, or set to read only",
        "57014" => "the database did not answer in time",
        "42501" => "the role of the application may not do what the engine needs",
        "42P01" | "3F000" => "a table of the schema is not there",
        _ => "the database did not answer",
    };
    Error::because(ErrorKind::Unavailable, message, error)
}

/// The database was too slow.
pub(super) fn late(patience: std::time::Duration) -> Error {
    let message = format!("the database did not answer within {patience:?}");
    Error::new(ErrorKind::Unavailable, message)
}
