//! Reading runs back. A damaged row sets its own run aside and no other.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row as _, Sqlite, query::Query, sqlite::SqliteArguments};

use super::{Damage, Loaded, unavailable};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::model::{
    CallId, End, Event, EventKind, FailedAttempt, OpenRun, RunId, RunRecord, StoredRun, WriterId,
};

const LOAD_RUNS: &str = include_str!("../../../sql/query/load_runs.sqlite.sql");
const LOAD_HISTORY: &str = include_str!("../../../sql/query/load_history.sqlite.sql");
const LOAD_ATTEMPTS: &str = include_str!("../../../sql/query/load_attempts.sqlite.sql");

pub(super) async fn load(
    readers: &SqlitePool,
    runs: &[RunId],
) -> Result<Vec<(RunId, Loaded)>, Error> {
    match load_together(readers, runs).await {
        Ok(loaded) => Ok(loaded),
        Err(error) if !is_damage(&error) => Err(unavailable(error)),
        // A page that cannot be read stops the statement: find whose it is.
        Err(_) => {
            let mut loaded = Vec::with_capacity(runs.len());
            for run in runs {
                match load_together(readers, std::slice::from_ref(run)).await {
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

/// SQLite's codes for a damaged file, and values that cannot be read.
fn is_damage(error: &sqlx::Error) -> bool {
    if matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) {
        return true;
    }
    let code = error.as_database_error().and_then(|error| error.code());
    let code = code.and_then(|code| code.parse::<i64>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

fn list(query: &'static str, runs: &[RunId]) -> Query<'static, Sqlite, SqliteArguments> {
    let runs: Vec<String> = runs.iter().map(ToString::to_string).collect();
    sqlx::query(query).bind(format!("[{}]", runs.join(",")))
}

async fn load_together(
    readers: &SqlitePool,
    runs: &[RunId],
) -> Result<Vec<(RunId, Loaded)>, sqlx::Error> {
    // One transaction: the three reads see one moment.
    let mut moment = readers.begin().await?;
    let rows = list(LOAD_RUNS, runs).fetch_all(&mut *moment).await?;
    let histories = list(LOAD_HISTORY, runs).fetch_all(&mut *moment).await?;
    let attempts = list(LOAD_ATTEMPTS, runs).fetch_all(&mut *moment).await?;
    moment.rollback().await?;

    let mut events: BTreeMap<i64, Vec<&SqliteRow>> = BTreeMap::new();
    for row in &histories {
        events.entry(row.try_get("run")?).or_default().push(row);
    }
    let mut failed: BTreeMap<i64, Vec<FailedAttempt>> = BTreeMap::new();
    for row in &attempts {
        failed.entry(row.try_get("run")?).or_default().push(attempt(row)?);
    }
    let loaded = rows.iter().map(|row| {
        let run: i64 = row.try_get("id")?;
        let rows = events.remove(&run).unwrap_or_default();
        let failed_attempts = failed.remove(&run).unwrap_or_default();
        let stored = stored(row, &rows, failed_attempts).map_err(|error| Damage {
            workflow: row.try_get("workflow").unwrap_or_default(),
            id: row.try_get("workflow_id").unwrap_or_default(),
            reason: error,
        });
        Ok((RunId(run), stored))
    });
    loaded.collect()
}

fn stored(
    row: &SqliteRow,
    events: &[&SqliteRow],
    failed_attempts: Vec<FailedAttempt>,
) -> Result<StoredRun, String> {
    let record = record(row).map_err(|error| error.to_string())?;
    let history = events.iter().map(|row| event(row)).collect::<Result<_, _>>()?;
    Ok(StoredRun { record, history, failed_attempts })
}

fn text(row: &SqliteRow, column: &str) -> Result<Arc<str>, sqlx::Error> {
    Ok(row.try_get::<&str, _>(column)?.into())
}

fn optional_text(row: &SqliteRow, column: &str) -> Result<Option<Arc<str>>, sqlx::Error> {
    Ok(row.try_get::<Option<&str>, _>(column)?.map(Arc::from))
}

fn time(row: &SqliteRow, column: &str) -> Result<Timestamp, sqlx::Error> {
    row.try_get(column).map(Timestamp::from_millis)
}

fn small(row: &SqliteRow, column: &str) -> Result<u32, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    u32::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn record(row: &SqliteRow) -> Result<RunRecord, sqlx::Error> {
    let status: i64 = row.try_get("status")?;
    let end = match status {
        0 => None,
        _ => Some(End { ok: status == 1, output: text(row, "output")?, at: time(row, "ended")? }),
    };
    let open = match row.try_get::<Option<i64>, _>("due")? {
        Some(due) => Some(OpenRun {
            due: Timestamp::from_millis(due),
            owned: row.try_get::<Option<i64>, _>("owner")?.is_some(),
            blocked: optional_text(row, "report")?,
        }),
        None => None,
    };
    Ok(RunRecord {
        run: RunId(row.try_get("id")?),
        workflow: text(row, "workflow")?,
        id: text(row, "workflow_id")?,
        args: text(row, "args")?,
        seed: row.try_get("seed")?,
        decided: optional_text(row, "decided")?,
        created: time(row, "created")?,
        end,
        open,
    })
}

fn event(row: &SqliteRow) -> Result<Event, String> {
    let read = || -> Result<(Event, Arc<str>), sqlx::Error> {
        let kind = text(row, "kind")?;
        let call: Option<i64> = row.try_get("call")?;
        let call = call.map(u32::try_from).transpose();
        let event = Event {
            seq: small(row, "seq")?,
            kind: EventKind::Begun,
            call: call.map_err(|error| sqlx::Error::Decode(error.into()))?.map(CallId),
            name: text(row, "name")?,
            payload: optional_text(row, "payload")?,
            decided: optional_text(row, "decided")?,
            writer: WriterId(row.try_get("writer")?),
            at: time(row, "at")?,
        };
        Ok((event, kind))
    };
    let (mut event, kind) = read().map_err(|error| format!("an event cannot be read: {error}"))?;
    let seq = event.seq;
    let unknown = || format!("event {seq} is of no known kind: `{kind}`");
    event.kind = EventKind::parse(&kind).ok_or_else(unknown)?;
    Ok(event)
}

fn attempt(row: &SqliteRow) -> Result<FailedAttempt, sqlx::Error> {
    Ok(FailedAttempt {
        call: CallId(small(row, "call")?),
        attempt: small(row, "attempt")?,
        error: text(row, "error")?,
        retry_at: time(row, "retry_at")?,
    })
}

pub(super) async fn find(readers: &SqlitePool, id: &str) -> Result<Option<RunRecord>, Error> {
    let query = sqlx::query(include_str!("../../../sql/query/find.sql")).bind(id.to_owned());
    let row = query.fetch_optional(readers).await.map_err(unavailable)?;
    let record = row.as_ref().map(record).transpose();
    record.map_err(|error| {
        Error::because(ErrorKind::Corrupt, format!("the row of run {id} cannot be read"), error)
    })
}

pub(super) async fn history(readers: &SqlitePool, run: RunId) -> Result<Vec<Event>, Error> {
    let rows = list(LOAD_HISTORY, &[run]).fetch_all(readers).await.map_err(unavailable)?;
    let events = rows.iter().map(event).collect::<Result<_, _>>();
    events.map_err(|reason| Error::new(ErrorKind::Corrupt, reason))
}
