//! Reading runs back. A damaged row sets its own run aside and no other.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row as _, Type};

use super::link::Connection;
use crate::clock::Timestamp;
use crate::model::{
    AttemptRecord, CallId, Command, CommandKind, End, Ended, Event, EventKind, Mail, MailKind,
    OpenRun, RunId, RunRecord, StoredRun, WriterId,
};
use crate::store::{Damage, Loaded};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/query/", $name, ".postgres.sql"))
    };
}

type Read<T> = Result<T, sqlx::Error>;

pub(super) fn numbers(runs: &[RunId]) -> Vec<i64> {
    runs.iter().map(|run| run.0).collect()
}

pub(super) fn runs(rows: Vec<i64>) -> Vec<RunId> {
    rows.into_iter().map(RunId).collect()
}

fn get<'r, T: Decode<'r, Postgres> + Type<Postgres>>(row: &'r PgRow, column: &str) -> Read<T> {
    row.try_get(column)
}

fn text(row: &PgRow, column: &str) -> Read<Arc<str>> {
    get::<String>(row, column).map(Into::into)
}

fn some_text(row: &PgRow, column: &str) -> Read<Option<Arc<str>>> {
    Ok(get::<Option<String>>(row, column)?.map(Into::into))
}

pub(super) fn time(row: &PgRow, column: &str) -> Read<Timestamp> {
    get(row, column).map(Timestamp::from_millis)
}

fn count(row: &PgRow, column: &str) -> Read<u32> {
    Ok(u32::try_from(get::<i32>(row, column)?).unwrap_or(u32::MAX))
}

/// Rows by their run.
async fn by_run(
    connection: &mut Connection,
    query: &'static str,
    runs: &[i64],
) -> Read<BTreeMap<i64, Vec<PgRow>>> {
    let rows = connection.query(query).bind(runs.to_vec()).fetch_all(&mut **connection).await?;
    let mut found: BTreeMap<i64, Vec<PgRow>> = BTreeMap::new();
    for row in rows {
        found.entry(get(&row, "run")?).or_default().push(row);
    }
    Ok(found)
}

pub(super) async fn load(
    connection: &mut Connection,
    runs: Vec<i64>,
) -> Read<Vec<(RunId, Loaded)>> {
    let mut events = by_run(connection, sql!("load_history"), &runs).await?;
    let mut attempts = by_run(connection, sql!("load_attempts"), &runs).await?;
    let mut commands = by_run(connection, sql!("load_commands"), &runs).await?;
    let mut unread = mail(connection, &runs).await?;
    let rows = connection.query(sql!("load_runs")).bind(runs).fetch_all(&mut **connection).await?;
    let mut loaded = Vec::with_capacity(rows.len());
    for row in rows {
        let run: i64 = get(&row, "id")?;
        let of_run = (
            events.remove(&run).unwrap_or_default(),
            attempts.remove(&run).unwrap_or_default(),
            commands.remove(&run).unwrap_or_default(),
        );
        let unread = unread.remove(&run).unwrap_or_default();
        let stored = stored(&row, of_run, unread).map_err(|reason| Damage {
            workflow: get(&row, "workflow").unwrap_or_default(),
            id: get(&row, "workflow_id").unwrap_or_default(),
            reason,
        });
        loaded.push((RunId(run), stored));
    }
    Ok(loaded)
}

type Rows = (Vec<PgRow>, Vec<PgRow>, Vec<PgRow>);

fn stored(
    row: &PgRow,
    (events, attempts, commands): Rows,
    mail: Vec<Mail>,
) -> Result<StoredRun, String> {
    let cannot = |error: sqlx::Error| error.to_string();
    let commands = commands.iter().map(command).collect::<Read<Vec<_>>>().map_err(cannot)?;
    Ok(StoredRun {
        record: record(row).map_err(cannot)?,
        history: events.iter().map(event).collect::<Result<_, _>>()?,
        attempts: attempts.iter().map(attempt).collect::<Read<_>>().map_err(cannot)?,
        cancels: commands.into_iter().flatten().collect(),
        mail,
    })
}

/// What runs have not taken; of a kind that a newer version knows, nothing.
pub(super) async fn mail(
    connection: &mut Connection,
    runs: &[i64],
) -> Read<BTreeMap<i64, Vec<Mail>>> {
    let load = include_str!("../../../sql/mail/load.postgres.sql");
    let mut all: BTreeMap<i64, Vec<Mail>> = BTreeMap::new();
    for (run, rows) in by_run(connection, load, runs).await? {
        for row in rows {
            let Some(kind) = MailKind::parse(&get::<String>(&row, "kind")?) else { continue };
            let call = get::<Option<i32>>(&row, "call")?;
            all.entry(run).or_default().push(Mail {
                number: get(&row, "number")?,
                kind,
                name: text(&row, "name")?,
                call: call.map(|call| CallId(u32::try_from(call).unwrap_or(u32::MAX))),
                body: text(&row, "body")?,
            });
        }
    }
    Ok(all)
}

pub(super) fn record(row: &PgRow) -> Read<RunRecord> {
    let open = match get::<Option<i64>>(row, "due")? {
        Some(due) => Some(OpenRun {
            due: Timestamp::from_millis(due),
            owner: get::<Option<i64>>(row, "owner")?.map(WriterId),
            claims: count(row, "claims")?,
            blocked: some_text(row, "report")?,
            mail: get(row, "mail")?,
        }),
        None => None,
    };
    Ok(RunRecord {
        run: RunId(get(row, "id")?),
        workflow: text(row, "workflow")?,
        id: text(row, "workflow_id")?,
        args: text(row, "args")?,
        seed: get(row, "seed")?,
        decided: some_text(row, "decided")?,
        meta: some_text(row, "meta")?,
        parent: parent(row)?,
        generation: count(row, "generation")?,
        created: time(row, "created")?,
        end: end(row)?,
        open,
    })
}

/// The run that waits for it, and its call.
fn parent(row: &PgRow) -> Read<Option<(RunId, CallId)>> {
    let (parent, call) =
        (get::<Option<i64>>(row, "parent")?, get::<Option<i32>>(row, "parent_call")?);
    let call = call.map(|call| CallId(u32::try_from(call).unwrap_or(u32::MAX)));
    Ok(parent.map(RunId).zip(call))
}

pub(super) fn end(row: &PgRow) -> Read<Option<End>> {
    let Some(how) = Ended::from_code(i64::from(get::<i16>(row, "status")?)) else {
        return Ok(None);
    };
    Ok(Some(End { how, output: text(row, "output")?, at: time(row, "ended")? }))
}

pub(super) fn event(row: &PgRow) -> Result<Event, String> {
    let read = || -> Read<(Event, String)> {
        let call = get::<Option<i32>>(row, "call")?;
        let event = Event {
            seq: count(row, "seq")?,
            kind: EventKind::Begun,
            call: call.map(|call| CallId(u32::try_from(call).unwrap_or(u32::MAX))),
            name: Cow::Owned(get(row, "name")?),
            payload: some_text(row, "payload")?,
            decided: some_text(row, "decided")?,
            writer: WriterId(get(row, "writer")?),
            at: time(row, "at")?,
        };
        Ok((event, get(row, "kind")?))
    };
    let (mut event, kind) = read().map_err(|error| format!("an event cannot be read: {error}"))?;
    let seq = event.seq;
    let unknown = || format!("event {seq} is of no known kind: `{kind}`");
    event.kind = EventKind::parse(&kind).ok_or_else(unknown)?;
    Ok(event)
}

fn attempt(row: &PgRow) -> Read<AttemptRecord> {
    Ok(AttemptRecord {
        call: CallId(count(row, "call")?),
        failed: count(row, "attempt")?,
        error: text(row, "error")?,
        retry_at: time(row, "retry_at")?,
        detail: some_text(row, "detail")?,
    })
}

/// None: of a kind that a newer version knows.
pub(super) fn command(row: &PgRow) -> Read<Option<Command>> {
    let Some(kind) = CommandKind::parse(&get::<String>(row, "kind")?) else { return Ok(None) };
    let (by, reason, at) = (text(row, "by")?, some_text(row, "reason")?, time(row, "at")?);
    Ok(Some(Command { number: get(row, "id")?, kind, by, reason, at }))
}

pub(super) async fn history(connection: &mut Connection, run: i64) -> Read<Vec<PgRow>> {
    connection.query(sql!("load_history")).bind(vec![run]).fetch_all(&mut **connection).await
}

pub(super) async fn ends(connection: &mut Connection, runs: Vec<i64>) -> Read<Vec<(RunId, End)>> {
    let rows = connection.query(sql!("ends")).bind(runs).fetch_all(&mut **connection).await?;
    let mut ends = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(end) = end(&row)? {
            ends.push((RunId(get(&row, "id")?), end));
        }
    }
    Ok(ends)
}
