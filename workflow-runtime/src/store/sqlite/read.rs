//! Reading runs back. A damaged row sets its own run aside and no other.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::types::FromSql;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row};

use super::{Damage, Loaded, unavailable};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::model::{
    AttemptRecord, CallId, Command, CommandKind, End, Ended, Event, EventKind, Mail, MailKind,
    OpenRun, RunId, RunRecord, StoredRun, WriterId,
};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/query/", $name, ".sql"))
    };
}

pub(super) fn load(
    connection: &mut Connection,
    runs: &[RunId],
) -> Result<Vec<(RunId, Loaded)>, Error> {
    match load_together(connection, runs) {
        Ok(loaded) => Ok(loaded),
        Err(error) if !is_damage(&error) => Err(unavailable(error)),
        // A page that cannot be read stops the statement: find whose it is.
        Err(_) => {
            let mut loaded = Vec::with_capacity(runs.len());
            for run in runs {
                match load_together(connection, std::slice::from_ref(run)) {
                    Ok(one) => loaded.extend(one),
                    Err(error) if is_damage(&error) => {
                        loaded.push((*run, Err(damage(*run, error.to_string()))));
                    }
                    Err(error) => return Err(unavailable(error)),
                }
            }
            Ok(loaded)
        }
    }
}

fn damage(run: RunId, reason: String) -> Damage {
    Damage { workflow: String::new(), id: format!("number {run}"), reason }
}

/// A damaged file, and values that cannot be read.
fn is_damage(error: &rusqlite::Error) -> bool {
    let unreadable = matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
    );
    let code = error.sqlite_error_code();
    unreadable || matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Runs as a JSON list, for `json_each`.
pub(super) fn list(runs: &[RunId]) -> String {
    let runs: Vec<String> = runs.iter().map(ToString::to_string).collect();
    format!("[{}]", runs.join(","))
}

/// The rows of a query over `runs`, by run.
fn by_run<T>(
    connection: &Connection,
    text: &str,
    runs: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<BTreeMap<i64, Vec<T>>> {
    let mut found: BTreeMap<i64, Vec<T>> = BTreeMap::new();
    let mut query = connection.prepare_cached(text)?;
    let mut rows = query.query([runs])?;
    while let Some(row) = rows.next()? {
        found.entry(row.get("run")?).or_default().push(read(row)?);
    }
    Ok(found)
}

fn load_together(
    connection: &mut Connection,
    runs: &[RunId],
) -> rusqlite::Result<Vec<(RunId, Loaded)>> {
    let runs = list(runs);
    // One transaction: the reads see one moment.
    let moment = connection.transaction()?;
    let mut events = by_run(&moment, sql!("load_history"), &runs, |row| Ok(event(row)))?;
    let mut attempts = by_run(&moment, sql!("load_attempts"), &runs, attempt)?;
    let mut commands = by_run(&moment, sql!("load_commands"), &runs, command)?;
    let mut unread = mail(&moment, &runs)?;
    let mut query = moment.prepare_cached(sql!("load_runs"))?;
    let mut rows = query.query([&runs])?;
    let mut loaded = Vec::new();
    while let Some(row) = rows.next()? {
        let run: i64 = row.get("id")?;
        let history = events.remove(&run).unwrap_or_default();
        let history = history.into_iter().collect::<Result<Vec<_>, _>>();
        let stored = record(row).map_err(|error| error.to_string()).and_then(|record| {
            let attempts = attempts.remove(&run).unwrap_or_default();
            let cancels = commands.remove(&run).unwrap_or_default().into_iter().flatten().collect();
            let mail = unread.remove(&run).unwrap_or_default();
            Ok(StoredRun { record, history: history?, attempts, cancels, mail })
        });
        let stored = stored.map_err(|reason| Damage {
            workflow: row.get("workflow").unwrap_or_default(),
            id: row.get("workflow_id").unwrap_or_default(),
            reason,
        });
        loaded.push((RunId(run), stored));
    }
    Ok(loaded)
}

fn text(row: &Row<'_>, column: &str) -> rusqlite::Result<Arc<str>> {
    row.get(column)
}

pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

fn optional<T: FromSql>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    row.get(column)
}

fn record(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    let end = match Ended::from_code(row.get("status")?) {
        None => None,
        Some(how) => Some(End { how, output: text(row, "output")?, at: time(row, "ended")? }),
    };
    let open = match optional::<i64>(row, "due")? {
        Some(due) => Some(OpenRun {
            due: Timestamp::from_millis(due),
            owner: optional::<i64>(row, "owner")?.map(WriterId),
            claims: row.get("claims")?,
            blocked: row.get("report")?,
            mail: row.get("mail")?,
        }),
        None => None,
    };
    Ok(RunRecord {
        run: RunId(row.get("id")?),
        workflow: text(row, "workflow")?,
        id: text(row, "workflow_id")?,
        args: text(row, "args")?,
        seed: row.get("seed")?,
        decided: row.get("decided")?,
        meta: row.get("meta")?,
        parent: parent(row)?,
        generation: row.get("generation")?,
        created: time(row, "created")?,
        end,
        open,
    })
}

/// The run that waits for it, and its call.
fn parent(row: &Row<'_>) -> rusqlite::Result<Option<(RunId, CallId)>> {
    let (parent, call) = (optional::<i64>(row, "parent")?, optional::<u32>(row, "parent_call")?);
    Ok(parent.zip(call).map(|(run, call)| (RunId(run), CallId(call))))
}

/// What runs have not taken; of a kind that a newer version knows, nothing.
pub(super) fn mail(
    connection: &Connection,
    runs: &str,
) -> rusqlite::Result<BTreeMap<i64, Vec<Mail>>> {
    let rows = by_run(connection, include_str!("../../../sql/mail/load.sql"), runs, |row| {
        let Some(kind) = MailKind::parse(&row.get::<_, String>("kind")?) else { return Ok(None) };
        Ok(Some(Mail {
            number: row.get("number")?,
            kind,
            name: text(row, "name")?,
            call: optional::<u32>(row, "call")?.map(CallId),
            body: text(row, "body")?,
        }))
    })?;
    Ok(rows.into_iter().map(|(run, mail)| (run, mail.into_iter().flatten().collect())).collect())
}

fn event(row: &Row<'_>) -> Result<Event, String> {
    let read = || -> rusqlite::Result<(Event, Arc<str>)> {
        let event = Event {
            seq: row.get("seq")?,
            kind: EventKind::Begun,
            call: optional::<u32>(row, "call")?.map(CallId),
            name: Cow::Owned(row.get("name")?),
            payload: row.get("payload")?,
            decided: row.get("decided")?,
            writer: WriterId(row.get("writer")?),
            at: time(row, "at")?,
        };
        Ok((event, text(row, "kind")?))
    };
    let (mut event, kind) = read().map_err(|error| format!("an event cannot be read: {error}"))?;
    let seq = event.seq;
    let unknown = || format!("event {seq} is of no known kind: `{kind}`");
    event.kind = EventKind::parse(&kind).ok_or_else(unknown)?;
    Ok(event)
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<AttemptRecord> {
    Ok(AttemptRecord {
        call: CallId(row.get("call")?),
        failed: row.get("attempt")?,
        error: text(row, "error")?,
        retry_at: time(row, "retry_at")?,
        detail: row.get("detail")?,
    })
}

/// None: of a kind that a newer version knows.
pub(super) fn command(row: &Row<'_>) -> rusqlite::Result<Option<Command>> {
    let kind: String = row.get("kind")?;
    let Some(kind) = CommandKind::parse(&kind) else { return Ok(None) };
    let (by, reason, at) = (text(row, "by")?, row.get("reason")?, time(row, "at")?);
    Ok(Some(Command { number: row.get("id")?, kind, by, reason, at }))
}

pub(super) fn find(connection: &Connection, id: &str) -> Result<Option<RunRecord>, Error> {
    find_by(connection, sql!("find"), id)
}

pub(super) fn find_first(connection: &Connection, id: &str) -> Result<Option<RunRecord>, Error> {
    find_by(connection, sql!("find_first"), id)
}

fn find_by(connection: &Connection, text: &str, id: &str) -> Result<Option<RunRecord>, Error> {
    let find = || connection.prepare_cached(text)?.query_row([id], record).optional();
    find().map_err(|error| {
        if is_damage(&error) {
            let message = format!("the row of run {id} cannot be read");
            return Error::because(ErrorKind::Corrupt, message, error);
        }
        unavailable(error)
    })
}

pub(super) fn history(connection: &Connection, run: RunId) -> Result<Vec<Event>, Error> {
    let rows = by_run(connection, sql!("load_history"), &list(&[run]), |row| Ok(event(row)));
    let events = rows.map_err(unavailable)?.remove(&run.0).unwrap_or_default();
    let events = events.into_iter().collect::<Result<_, _>>();
    events.map_err(|reason| Error::new(ErrorKind::Corrupt, reason))
}

/// The numbers that a query gives.
pub(super) fn numbers(
    connection: &Connection,
    text: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Vec<RunId>> {
    let mut query = connection.prepare_cached(text)?;
    let found = query.query_map(params, |row| row.get(0).map(RunId))?;
    found.collect()
}

pub(super) fn ends(connection: &Connection, runs: &[RunId]) -> rusqlite::Result<Vec<(RunId, End)>> {
    let mut query = connection.prepare_cached(sql!("ends"))?;
    let mut rows = query.query([list(runs)])?;
    let mut ends = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(how) = Ended::from_code(row.get("status")?) {
            let end = End { how, output: text(row, "output")?, at: time(row, "ended")? };
            ends.push((RunId(row.get("id")?), end));
        }
    }
    Ok(ends)
}
