//! Messages between runs, and children. Each in the transaction of what it comes
//! with.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{control, read};
use crate::clock::Timestamp;
use crate::model::{
    Answer, CallId, Command, CommandKind, Item, News, Post, RunId, Start, Traffic, Undelivered,
    WriterId,
};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/mail/", $name, ".sql"))
    };
}

type Delivered = Result<(), Undelivered>;

/// What an item that went in asks of others.
pub(super) fn traffic(
    connection: &Connection,
    item: &Item,
    traffic: &Traffic,
) -> rusqlite::Result<Answer> {
    let mut undelivered = Vec::new();
    take(connection, item.run, &traffic.taken)?;
    for (call, start) in &traffic.children {
        if let Err(why) = begin_child(connection, item, *call, start)? {
            undelivered.push((*call, why));
        }
    }
    for (call, one) in &traffic.posts {
        if let Err(why) = post(connection, one)? {
            undelivered.push((*call, why));
        }
    }
    for (id, by) in &traffic.cancels {
        if let Some(run) = newest(connection, id)? {
            let at = at(item);
            let (kind, by) = (CommandKind::Cancel, by.clone());
            control::give(connection, run, &Command { number: 0, kind, by, reason: None, at })?;
        }
    }
    Ok(if undelivered.is_empty() { Answer::Committed } else { Answer::Undelivered(undelivered) })
}

/// When an item happened.
fn at(item: &Item) -> Timestamp {
    let start = item.start.as_ref().map(|start| start.at);
    item.events.last().map(|event| event.at).or(start).unwrap_or_default()
}

fn newest(connection: &Connection, id: &str) -> rusqlite::Result<Option<RunId>> {
    connection.prepare_cached(sql!("newest"))?.query_row([id], |row| row.get(0).map(RunId)).optional()
}

fn take(connection: &Connection, run: RunId, numbers: &[i64]) -> rusqlite::Result<()> {
    let mut taken = 0_i64;
    for number in numbers {
        connection.prepare_cached(sql!("remember"))?.execute([run.0, *number])?;
        let gone = connection.prepare_cached(sql!("take"))?.execute([run.0, *number])?;
        taken += i64::from(gone > 0);
    }
    if taken > 0 {
        connection.prepare_cached(sql!("taken"))?.execute(params![run.0, taken])?;
    }
    Ok(())
}

fn begin_child(
    connection: &Connection,
    item: &Item,
    call: CallId,
    start: &Start,
) -> rusqlite::Result<Delivered> {
    let holder = |row: &rusqlite::Row<'_>| {
        Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<u32>>(1)?))
    };
    let holder =
        connection.prepare_cached(sql!("holder"))?.query_row([&*start.id], holder).optional()?;
    if let Some(holder) = holder {
        let same = holder == (Some(item.run.0), Some(call.0));
        return Ok(if same { Ok(()) } else { Err(Undelivered::Taken) });
    }
    let reserve = include_str!("../../../sql/query/reserve.sql");
    let mut reserve = connection.prepare_cached(reserve)?;
    let run: i64 = reserve.query_row(("runs", 1), |row| row.get(0))?;
    connection.prepare_cached(sql!("child"))?.execute(params![
        run,
        &*start.workflow,
        &*start.id,
        item.run.0,
        call.0,
        &*start.args,
        start.seed,
        start.meta.as_deref(),
        item.writer.0,
        start.at.as_millis(),
    ])?;
    let activate = include_str!("../../../sql/commit/activate.sql");
    let active = params![run, None::<i64>, start.at.as_millis()];
    connection.prepare_cached(activate)?.execute(active)?;
    Ok(Ok(()))
}

/// Delivers a signal, once.
fn post(connection: &Connection, post: &Post) -> rusqlite::Result<Delivered> {
    let mut known = connection.prepare_cached(sql!("known"))?;
    if known.query_row([&*post.message], |row| row.get(0))? {
        return Ok(Ok(()));
    }
    let Some(run) = newest(connection, &post.to)? else { return Ok(Err(Undelivered::NotFound)) };
    let mut unread = connection.prepare_cached(sql!("unread"))?;
    let unread = unread.query_row([run.0], |row| row.get::<_, i64>(0)).optional()?;
    let Some(unread) = unread else { return Ok(Err(Undelivered::Ended)) };
    if unread >= i64::from(post.limit) {
        return Ok(Err(Undelivered::Full));
    }
    let at = post.at.as_millis();
    let row = params![run.0, &*post.message, &*post.name, &*post.body, at];
    connection.prepare_cached(sql!("put"))?.execute(row)?;
    connection.prepare_cached(sql!("wake"))?.execute([run.0, at])?;
    Ok(Ok(()))
}

/// Delivers signals of a client, in a transaction.
pub(super) fn post_all(
    connection: &mut Connection,
    posts: &[Post],
) -> rusqlite::Result<Vec<Delivered>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let delivered = posts.iter().map(|one| post(&transaction, one)).collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(delivered)
}

/// What a run has not taken when it ends waits for people.
pub(super) fn bury(connection: &Connection, run: RunId, at: Timestamp) -> rusqlite::Result<()> {
    connection.prepare_cached(sql!("bury"))?.execute([run.0, at.as_millis()])?;
    connection.prepare_cached(sql!("remember_all"))?.execute([run.0])?;
    connection.prepare_cached(sql!("clear"))?.execute([run.0])?;
    Ok(())
}

/// The end of a child, for its parent, if that is open.
pub(super) fn notify(connection: &Connection, run: RunId, at: Timestamp) -> rusqlite::Result<()> {
    let mut parent = connection.prepare_cached(sql!("parent"))?;
    let parent: Option<i64> = parent.query_row([run.0], |row| row.get(0)).optional()?;
    let Some(parent) = parent else { return Ok(()) };
    let mut unread = connection.prepare_cached(sql!("unread"))?;
    if unread.exists([parent])? && connection.prepare_cached(sql!("notify"))?.execute([run.0])? > 0 {
        connection.prepare_cached(sql!("wake"))?.execute([parent, at.as_millis()])?;
    }
    Ok(())
}

/// What a run has not taken goes to its next generation.
pub(super) fn follow(connection: &Connection, run: RunId, next: RunId) -> rusqlite::Result<()> {
    let followed = connection.prepare_cached(sql!("follow"))?.execute([run.0, next.0])?;
    if followed > 0 {
        connection.prepare_cached(sql!("followed"))?.execute(params![next.0, i64::try_from(followed).unwrap_or(i64::MAX)])?;
    }
    Ok(())
}

/// What has come for runs of a writer since it was told.
pub(super) fn news(
    connection: &mut Connection,
    writer: WriterId,
) -> rusqlite::Result<Vec<News>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let told = read::numbers(&transaction, sql!("told"), [writer.0])?;
    let mut unread = read::mail(&transaction, &read::list(&told))?;
    let mut all = Vec::with_capacity(told.len());
    for run in told {
        let mut hear = transaction.prepare_cached(sql!("hear"))?;
        let heard = hear.query_row([run.0], |row| row.get(0))?;
        all.push(News { run, mail: unread.remove(&run.0).unwrap_or_default(), heard });
    }
    transaction.commit()?;
    Ok(all)
}
