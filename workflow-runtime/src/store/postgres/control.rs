//! What is done to runs from outside their history: claims, commands, ends by
//! others, deletion.

use sqlx::Row as _;

use super::link::Connection;
use super::{Claimant, mail, read, shared};
use crate::clock::Timestamp;
use crate::model::{Command, CommandKind, Commanded, End, Ended, RunId, WriterId};
use crate::store::{Of, Sweep, TakeOver, dead, reason_of, terminated};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/query/", $name, ".postgres.sql"))
    };
}

macro_rules! shared_sql {
    ($name:literal) => {
        shared(include_str!(concat!("../../../sql/", $name, ".sql")))
    };
}

type Done<T> = Result<T, sqlx::Error>;

pub(super) async fn take_over(connection: &mut Connection, over: TakeOver) -> Done<()> {
    let (writer, now) = (over.writer.0, over.now.as_millis());
    let most = i32::try_from(over.max_claims).unwrap_or(i32::MAX);
    let from = match over.of {
        Of::All => Some(None),
        Of::Worker(worker) => Some(Some(worker.0)),
        Of::Nobody => None,
    };
    if let Some(from) = from {
        let bury = connection.query_scalar(sql!("bury")).bind(writer).bind(from).bind(most);
        for run in bury.fetch_all(&mut **connection).await? {
            let end = dead(over.max_claims, over.now);
            // What is known of its attempts stays: it may be redriven.
            close(connection, run, &end).await?;
            let letter = connection.query(shared_sql!("query/dead_letter")).bind(run).bind("run");
            letter.bind(reason_of(&end)).bind(now).execute(&mut **connection).await?;
        }
        let pause = i64::try_from(over.pause.as_millis()).unwrap_or(i64::MAX);
        let take_over =
            connection.query(sql!("take_over")).bind(writer).bind(from).bind(now).bind(pause);
        take_over.bind(&over.build).execute(&mut **connection).await?;
    }
    if !matches!(over.of, Of::Worker(_)) {
        let refused = connection.query(sql!("try_refused")).bind(&over.build).bind(now);
        refused.execute(&mut **connection).await?;
    }
    Ok(())
}

/// Ends an open run from outside.
async fn close(connection: &mut Connection, run: i64, end: &End) -> Done<()> {
    let how = i16::try_from(end.how.code()).unwrap_or(i16::MAX);
    let ended = connection.query(sql!("end")).bind(run).bind(how);
    ended.bind(&*end.output).bind(end.at.as_millis()).execute(&mut **connection).await?;
    for text in [shared_sql!("commit/leave"), shared_sql!("commit/unblock")] {
        connection.query(text).bind(run).execute(&mut **connection).await?;
    }
    if end.how != Ended::Dead {
        mail::bury(connection, RunId(run), end.at).await?;
    }
    mail::notify(connection, RunId(run), end.at).await
}

pub(super) async fn claim(
    connection: &mut Connection,
    writer: WriterId,
    now: Timestamp,
    limit: u32,
    claims: (u32, u32),
    by: std::sync::Arc<Claimant>,
) -> Done<Vec<RunId>> {
    let int = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let rows = connection
        .query(sql!("claim"))
        .bind(writer.0)
        .bind(now.as_millis())
        .bind(i64::from(limit))
        .bind(int(claims.0))
        .bind(int(claims.1))
        .bind(by.workflows.clone())
        .bind(&*by.build)
        .fetch_all(&mut **connection)
        .await?;
    rows.iter().map(|row| row.try_get("run").map(RunId)).collect()
}

/// `again`: it was asked before, and the answer was lost.
pub(super) async fn command(
    connection: &mut Connection,
    run: RunId,
    command: Command,
    again: bool,
) -> Done<Commanded> {
    if command.kind == CommandKind::Terminate {
        mail::lock_parent(connection, run).await?;
    }
    // First, as whoever ends the run does: numbers of commands follow each
    // other, and no end comes between.
    let held =
        connection.query(sql!("lock_active")).bind(run.0).fetch_optional(&mut **connection).await?;
    let owner = held.map(|row| row.try_get::<Option<i64>, _>("owner")).transpose()?.flatten();
    let known =
        connection.query(sql!("lock_run")).bind(run.0).fetch_optional(&mut **connection).await?;
    let Some(known) = known else { return Ok(Commanded::Unknown) };
    let clean = |text: &str| text.replace('\0', "\u{FFFD}");
    let (by, reason) = (clean(&command.by), command.reason.as_deref().map(clean));
    if again {
        let is_asked =
            connection.query_scalar(sql!("is_asked")).bind(run.0).bind(command.kind.as_str());
        let is_asked = is_asked.bind(&by).bind(&reason).bind(command.at.as_millis());
        if is_asked.fetch_one(&mut **connection).await? {
            return Ok(Commanded::Accepted);
        }
    }
    let known = Known {
        owned: owner.is_some(),
        status: known.try_get("status")?,
        blocked: known.try_get("blocked")?,
    };
    if let Some(no) = known.refuses(command.kind) {
        return Ok(no);
    }
    let pending = match command.kind {
        CommandKind::Cancel => true,
        CommandKind::Terminate => known.owned,
        CommandKind::Retry | CommandKind::Redrive => false,
    };
    if command.kind == CommandKind::Terminate {
        connection.query(sql!("obey")).bind(run.0).execute(&mut **connection).await?;
    }
    let number: i64 = connection
        .query_scalar(sql!("command"))
        .bind(run.0)
        .bind(command.kind.as_str())
        .bind(by)
        .bind(reason)
        .bind(command.at.as_millis())
        .bind(!pending)
        .fetch_one(&mut **connection)
        .await?;
    act(connection, run.0, number, &command).await?;
    Ok(Commanded::Accepted)
}

/// What is known of a run before a command.
struct Known {
    status: i16,
    owned: bool,
    blocked: bool,
}

impl Known {
    fn refuses(&self, kind: CommandKind) -> Option<Commanded> {
        let is_open = self.status == 0;
        match kind {
            CommandKind::Redrive => {
                (i64::from(self.status) != Ended::Dead.code()).then_some(Commanded::Idle)
            }
            _ if !is_open => Some(Commanded::Ended),
            CommandKind::Retry => (!self.blocked).then_some(Commanded::Idle),
            CommandKind::Cancel | CommandKind::Terminate => None,
        }
    }
}

async fn act(connection: &mut Connection, run: i64, number: i64, command: &Command) -> Done<()> {
    let at = command.at.as_millis();
    match command.kind {
        CommandKind::Cancel => {
            connection
                .query(sql!("ask"))
                .bind(run)
                .bind(at)
                .bind(number)
                .execute(&mut **connection)
                .await?;
        }
        CommandKind::Terminate => {
            close(connection, run, &terminated(command)).await?;
            connection
                .query(shared_sql!("commit/forget"))
                .bind(run)
                .execute(&mut **connection)
                .await?;
        }
        CommandKind::Retry => {
            connection
                .query(shared_sql!("commit/unblock"))
                .bind(run)
                .execute(&mut **connection)
                .await?;
            connection
                .query(shared_sql!("query/free"))
                .bind(run)
                .bind(at)
                .execute(&mut **connection)
                .await?;
        }
        CommandKind::Redrive => {
            connection.query(sql!("revive")).bind(run).execute(&mut **connection).await?;
            let reopen = connection.query(shared_sql!("query/reopen")).bind(run).bind(at);
            reopen.execute(&mut **connection).await?;
            let letters = connection.query(shared_sql!("query/delete_dead_letters")).bind(run);
            letters.execute(&mut **connection).await?;
        }
    }
    Ok(())
}

pub(super) async fn open_commands(
    connection: &mut Connection,
    writer: i64,
) -> Done<Vec<(RunId, Command)>> {
    let rows =
        connection.query(sql!("open_commands")).bind(writer).fetch_all(&mut **connection).await?;
    let mut commands = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(command) = read::command(&row)? {
            commands.push((RunId(row.try_get("run")?), command));
        }
    }
    Ok(commands)
}

/// Runs of one window of numbers.
const WINDOW: i64 = 2_000;

pub(super) async fn old(
    connection: &mut Connection,
    after: RunId,
    before: Timestamp,
) -> Done<Sweep> {
    let window = connection.query_as(shared_sql!("query/window")).bind(after.0).bind(WINDOW);
    let window: (Option<i64>, Option<i64>) = window.fetch_one(&mut **connection).await?;
    let (Some(last), Some(accepted)) = window else { return Ok(Sweep::default()) };
    if accepted >= before.as_millis() {
        return Ok(Sweep { next: Some(RunId(last)), is_young: true, ..Sweep::default() });
    }
    let old = connection.query_scalar(shared_sql!("query/old")).bind(after.0).bind(last);
    let runs = read::runs(old.bind(before.as_millis()).fetch_all(&mut **connection).await?);
    Ok(Sweep { runs, next: Some(RunId(last)), is_young: false })
}
