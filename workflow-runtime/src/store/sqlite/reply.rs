//! Requests and their replies.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::clock::Timestamp;
use crate::model::{Asker, RunId};
use crate::store::unanswered;

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/mail/", $name, ".sql"))
    };
}

/// A request is answered, once.
pub(super) fn answer(
    connection: &Connection,
    run: RunId,
    message: &str,
    body: &str,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let asker = |row: &Row<'_>| Ok(Asker::from_columns(row.get(0)?, row.get(1)?));
    let mut answered = connection.prepare_cached(sql!("answered"))?;
    let asker = answered.query_row(params![message, run.0], asker).optional()?;
    let at = at.as_millis();
    match asker {
        None => {}
        Some(Asker::Client) => {
            let row = params![message, run.0, body, at];
            connection.prepare_cached(sql!("reply_to_client"))?.execute(row)?;
        }
        Some(Asker::Call(asker, call)) => {
            if !super::mail::takes_mail(connection, asker.0)? {
                return Ok(());
            }
            let row = params![asker.0, format!("reply-{message}"), call.0, body, at];
            if connection.prepare_cached(sql!("reply_to_run"))?.execute(row)? > 0 {
                connection.prepare_cached(sql!("wake"))?.execute([asker.0, at])?;
            }
        }
    }
    Ok(())
}

/// What was asked of a run that ended is answered with that.
pub(super) fn leave_unanswered(
    connection: &Connection,
    run: RunId,
    at: Timestamp,
) -> rusqlite::Result<()> {
    let mut open = connection.prepare_cached(sql!("unanswered"))?;
    let messages: Vec<String> =
        open.query_map([run.0], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for message in messages {
        answer(connection, run, &message, &unanswered(), at)?;
    }
    Ok(())
}

pub(super) fn read(connection: &Connection, message: &str) -> rusqlite::Result<Option<Arc<str>>> {
    connection.prepare_cached(sql!("reply"))?.query_row([message], |row| row.get(0)).optional()
}

pub(super) fn forget(connection: &Connection, message: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql!("reply_read"))?.execute([message]).map(drop)
}
