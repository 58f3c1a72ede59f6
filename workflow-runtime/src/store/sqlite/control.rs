//! What is done to runs from outside their history: claims, commands, ends by
//! others, deletion.

use std::ops::RangeInclusive;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::{mail, read};
use crate::clock::Timestamp;
use crate::model::{Command, CommandKind, Commanded, End, Ended, RunId, WriterId};
use crate::store::{Sweep, TakeOver, dead, terminated};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/query/", $name, ".sql"))
    };
}

macro_rules! commit_sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/commit/", $name, ".sql"))
    };
}

macro_rules! mail_sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/mail/", $name, ".sql"))
    };
}

fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

pub(super) fn take_over(connection: &mut Connection, over: &TakeOver) -> rusqlite::Result<()> {
    let transaction = begin(connection)?;
    let (writer, now) = (over.writer.0, over.now.as_millis());
    let buried = read::numbers(&transaction, sql!("bury"), [writer, i64::from(over.max_claims)])?;
    for run in buried {
        let end = dead(over.max_claims, over.now);
        // What is known of its attempts stays: it may be redriven.
        close(&transaction, run, &end)?;
        let mut letter = transaction.prepare_cached(sql!("dead_letter"))?;
        letter.execute(params![run.0, "run", super::reason_of(&end), now])?;
    }
    transaction.execute(sql!("take_over_refused"), params![writer, &over.build])?;
    let pause = i64::try_from(over.pause.as_millis()).unwrap_or(i64::MAX);
    transaction.execute(sql!("take_over"), params![writer, &over.build, now, pause])?;
    transaction.commit()
}

/// Ends an open run from outside.
fn close(transaction: &Connection, run: RunId, end: &End) -> rusqlite::Result<()> {
    let ended = params![run.0, end.how.code(), &*end.output, end.at.as_millis()];
    transaction.prepare_cached(commit_sql!("end"))?.execute(ended)?;
    for text in [commit_sql!("leave"), commit_sql!("unblock")] {
        transaction.prepare_cached(text)?.execute([run.0])?;
    }
    if end.how != Ended::Dead {
        mail::bury(transaction, run, end.at)?;
    }
    mail::notify(transaction, run, end.at)
}

pub(super) fn claim(
    connection: &Connection,
    writer: WriterId,
    now: Timestamp,
    limit: u32,
    claims: &RangeInclusive<u32>,
) -> rusqlite::Result<Vec<RunId>> {
    let claim = params![writer.0, now.as_millis(), limit, claims.start(), claims.end()];
    read::numbers(connection, sql!("claim"), claim)
}

/// What is known of a run before a command.
struct Known {
    status: i64,
    owned: bool,
    blocked: bool,
}

fn known(transaction: &Connection, run: RunId) -> rusqlite::Result<Option<Known>> {
    use rusqlite::OptionalExtension as _;

    let mut query = transaction.prepare_cached(sql!("known"))?;
    let known = query.query_row([run.0], |row| {
        Ok(Known { status: row.get(0)?, owned: row.get(1)?, blocked: row.get(2)? })
    });
    known.optional()
}

pub(super) fn command(
    connection: &mut Connection,
    run: RunId,
    command: &Command,
) -> rusqlite::Result<Commanded> {
    let transaction = begin(connection)?;
    let given = give(&transaction, run, command)?;
    transaction.commit()?;
    Ok(given)
}

/// In a transaction that is open.
pub(super) fn give(
    transaction: &Connection,
    run: RunId,
    command: &Command,
) -> rusqlite::Result<Commanded> {
    let Some(known) = known(transaction, run)? else { return Ok(Commanded::Unknown) };
    let is_open = known.status == 0;
    let (run_number, at) = (run.0, command.at.as_millis());
    // Whether the owner has yet to act on it.
    let mut pending = false;
    match command.kind {
        CommandKind::Cancel | CommandKind::Terminate if !is_open => return Ok(Commanded::Ended),
        CommandKind::Cancel => {
            pending = true;
            transaction.prepare_cached(sql!("hasten"))?.execute([run_number, at])?;
        }
        CommandKind::Terminate => {
            pending = known.owned;
            transaction.prepare_cached(commit_sql!("obey"))?.execute([run_number, i64::MAX])?;
            close(transaction, run, &terminated(command))?;
            transaction.prepare_cached(commit_sql!("forget"))?.execute([run_number])?;
        }
        CommandKind::Retry if !is_open => return Ok(Commanded::Ended),
        CommandKind::Retry if !known.blocked => return Ok(Commanded::Idle),
        CommandKind::Retry => {
            transaction.prepare_cached(commit_sql!("unblock"))?.execute([run_number])?;
            transaction.prepare_cached(sql!("free"))?.execute([run_number, at])?;
        }
        CommandKind::Redrive if known.status != Ended::Dead.code() => return Ok(Commanded::Idle),
        CommandKind::Redrive => {
            transaction.prepare_cached(sql!("revive"))?.execute([run_number])?;
            transaction.prepare_cached(sql!("reopen"))?.execute([run_number, at])?;
            transaction.prepare_cached(sql!("delete_dead_letters"))?.execute([run_number])?;
        }
    }
    let reason = command.reason.as_deref();
    let given = params![run_number, command.kind.as_str(), &*command.by, reason, at, !pending];
    transaction.prepare_cached(sql!("command"))?.execute(given)?;
    Ok(Commanded::Accepted)
}

pub(super) fn open_commands(
    connection: &Connection,
    writer: WriterId,
) -> rusqlite::Result<Vec<(RunId, Command)>> {
    let mut query = connection.prepare_cached(sql!("open_commands"))?;
    let found = query.query_map([writer.0], |row| Ok((RunId(row.get(0)?), read::command(row)?)))?;
    let mut commands = Vec::new();
    for one in found {
        if let (run, Some(command)) = one? {
            commands.push((run, command));
        }
    }
    Ok(commands)
}

pub(super) fn delete(connection: &mut Connection, runs: &[RunId]) -> rusqlite::Result<u32> {
    let transaction = begin(connection)?;
    let mut deleted = 0;
    let mut all = Vec::with_capacity(runs.len());
    for run in runs {
        all.extend(read::numbers(&transaction, sql!("generations"), [run.0])?);
    }
    for run in all {
        if transaction.prepare_cached(sql!("delete_run"))?.execute([run.0])? == 0 {
            continue;
        }
        deleted += 1;
        let others = [
            sql!("delete_history"),
            sql!("delete_blobs"),
            sql!("delete_attempts"),
            sql!("delete_commands"),
            sql!("delete_dead_letters"),
            mail_sql!("clear"),
            mail_sql!("forget"),
            mail_sql!("forget_requests"),
            mail_sql!("forget_replies"),
            mail_sql!("forget_state"),
        ];
        for text in others {
            transaction.prepare_cached(text)?.execute([run.0])?;
        }
    }
    transaction.commit()?;
    Ok(deleted)
}

/// Runs of one window of numbers.
const WINDOW: u32 = 2_000;

pub(super) fn old(
    connection: &Connection,
    after: RunId,
    before: Timestamp,
) -> rusqlite::Result<Sweep> {
    let mut window = connection.prepare_cached(sql!("window"))?;
    let (last, accepted): (Option<i64>, Option<i64>) =
        window.query_row([after.0, i64::from(WINDOW)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(last), Some(accepted)) = (last, accepted) else { return Ok(Sweep::default()) };
    if accepted >= before.as_millis() {
        return Ok(Sweep { next: Some(RunId(last)), is_young: true, ..Sweep::default() });
    }
    let ended = params![after.0, last, before.as_millis()];
    let runs = read::numbers(connection, sql!("old"), ended)?;
    Ok(Sweep { runs, next: Some(RunId(last)), is_young: false })
}
