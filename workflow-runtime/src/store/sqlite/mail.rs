//! Messages between runs, and children. Each in the transaction of what it comes
//! with.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{control, read, reply};
use crate::clock::Timestamp;
use crate::model::{
    AllNews, Answer, Asker, CallId, Command, CommandKind, Item, News, Post, RunId, Shown, Start,
    Traffic, Undelivered, WriterId,
};
use crate::store::{not_taken_id, not_taken_number, unread_reason};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/mail/", $name, ".sql"))
    };
}

type Delivered = Result<(), Undelivered>;

/// What an item that was answered so asks of others.
pub(super) fn traffic(
    connection: &Connection,
    item: &Item,
    answer: Answer,
) -> rusqlite::Result<Answer> {
    let mut undelivered = Vec::new();
    for traffic in item.traffic_of(&answer) {
        act(connection, item, traffic, &mut undelivered)?;
    }
    let all = undelivered.is_empty() || answer != Answer::Committed;
    Ok(if all { answer } else { Answer::Undelivered(undelivered) })
}

fn act(
    connection: &Connection,
    item: &Item,
    traffic: &Traffic,
    undelivered: &mut Vec<(CallId, Undelivered)>,
) -> rusqlite::Result<()> {
    settle(connection, item, traffic)?;
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
    if let Some(state) = &traffic.state {
        connection.prepare_cached(sql!("publish"))?.execute(params![item.run.0, &**state])?;
    }
    for (call, id, by) in &traffic.cancels {
        if let Some(run) = own_child(connection, item, *call, id)? {
            let (kind, by, at) = (CommandKind::Cancel, by.clone(), item.at());
            control::give(connection, run, &Command { number: 0, kind, by, reason: None, at })?;
        }
    }
    Ok(())
}

/// What a run took, and what it answered: before it ends, or it would be left over.
pub(super) fn settle(
    connection: &Connection,
    item: &Item,
    traffic: &Traffic,
) -> rusqlite::Result<()> {
    take(connection, item.run, &traffic.taken)?;
    for (message, body) in &traffic.replies {
        reply::answer(connection, item.run, message, body, item.at())?;
    }
    Ok(())
}

fn own_child(
    connection: &Connection,
    of: &Item,
    call: CallId,
    id: &str,
) -> rusqlite::Result<Option<RunId>> {
    let mut own = connection.prepare_cached(sql!("own_child"))?;
    own.query_row(params![id, of.run.0, call.0], |row| row.get(0).map(RunId)).optional()
}

/// What a run had and did not take is its next generation's, or waits for people.
pub(super) fn not_taken(
    connection: &Connection,
    item: &Item,
    traffic: &Traffic,
) -> rusqlite::Result<()> {
    let at = item.at().as_millis();
    for (n, (name, body)) in traffic.not_taken.iter().enumerate() {
        let message = not_taken_id(item.run, n);
        let mut remember = connection.prepare_cached(sql!("remember_one"))?;
        if remember.execute(params![message, item.run.0])? == 0 {
            continue;
        }
        let mut next = connection.prepare_cached(sql!("successor"))?;
        let next: Option<i64> = next.query_row([item.run.0], |row| row.get(0)).optional()?;
        if let Some(next) = next {
            let number = not_taken_number(RunId(next), n);
            let row = params![number, next, message, &**name, &**body, at];
            connection.prepare_cached(sql!("put_back"))?.execute(row)?;
            connection.prepare_cached(sql!("wake"))?.execute([next, at])?;
        } else {
            let row = params![item.run.0, unread_reason(name), at, &**body];
            connection.prepare_cached(sql!("letter"))?.execute(row)?;
        }
    }
    Ok(())
}

fn newest(connection: &Connection, id: &str) -> rusqlite::Result<Option<RunId>> {
    connection
        .prepare_cached(sql!("newest"))?
        .query_row([id], |row| row.get(0).map(RunId))
        .optional()
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
    let at = post.at.as_millis();
    let Some(run) = newest(connection, &post.to)? else {
        let mut waiting = connection.prepare_cached(sql!("early_count"))?;
        if waiting.query_row([&*post.to], |row| row.get::<_, i64>(0))? >= i64::from(post.limit) {
            return Ok(Err(Undelivered::Full));
        }
        let (asker, call) = post.asker.map_or((None, None), Asker::columns);
        connection.prepare_cached(sql!("early"))?.execute(params![
            &*post.to,
            &*post.message,
            post.kind().as_str(),
            &*post.name,
            asker,
            call,
            &*post.body,
            at,
        ])?;
        return Ok(Ok(()));
    };
    // What was sent before comes before.
    let mut early = connection.prepare_cached(sql!("early_of"))?;
    let early: Vec<(i64, i64)> = early
        .query_map([&*post.to], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    early.into_iter().try_for_each(|(number, at)| adopt(connection, number, at, run.0))?;
    let mut unread = connection.prepare_cached(sql!("unread"))?;
    let unread = unread.query_row([run.0], |row| row.get::<_, i64>(0)).optional()?;
    let Some(unread) = unread else { return Ok(Err(Undelivered::Ended)) };
    if unread >= i64::from(post.limit) {
        return Ok(Err(Undelivered::Full));
    }
    let (message, kind) = (&*post.message, post.kind().as_str());
    let row = params![run.0, message, kind, &*post.name, &*post.body, at];
    connection.prepare_cached(sql!("put"))?.execute(row)?;
    connection.prepare_cached(sql!("wake"))?.execute([run.0, at])?;
    if let Some(asker) = post.asker {
        let (asker, call) = asker.columns();
        let row = params![message, run.0, asker, call];
        connection.prepare_cached(sql!("request"))?.execute(row)?;
    }
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
    reply::leave_unanswered(connection, run, at)
}

/// The end of a child, for its parent, if that goes on or may.
pub(super) fn notify(connection: &Connection, run: RunId, at: Timestamp) -> rusqlite::Result<()> {
    let mut parent = connection.prepare_cached(sql!("parent"))?;
    let parent: Option<i64> = parent.query_row([run.0], |row| row.get(0)).optional()?;
    let Some(parent) = parent else { return Ok(()) };
    if takes_mail(connection, parent)?
        && connection.prepare_cached(sql!("notify"))?.execute([run.0])? > 0
    {
        connection.prepare_cached(sql!("wake"))?.execute([parent, at.as_millis()])?;
    }
    Ok(())
}

/// Whether a run is open, or dead: then it may be redriven.
pub(super) fn takes_mail(connection: &Connection, run: i64) -> rusqlite::Result<bool> {
    Ok(connection.prepare_cached(sql!("unread"))?.exists([run])? || is_dead(connection, run)?)
}

fn is_dead(connection: &Connection, run: i64) -> rusqlite::Result<bool> {
    let mut is_dead = connection.prepare_cached(sql!("is_dead"))?;
    Ok(is_dead.query_row([run], |row| row.get(0)).optional()?.unwrap_or(false))
}

/// What a run has not taken goes to its next generation.
pub(super) fn follow(connection: &Connection, run: RunId, next: RunId) -> rusqlite::Result<()> {
    let followed = connection.prepare_cached(sql!("follow"))?.execute([run.0, next.0])?;
    let open = connection.prepare_cached(sql!("requests_follow"))?.execute([run.0, next.0])?;
    let [followed, open] = [followed, open].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    connection.prepare_cached(sql!("followed"))?.execute([next.0, followed, open])?;
    Ok(())
}

/// What the run of a workflow id shows.
pub(super) fn shown(connection: &Connection, id: &str) -> rusqlite::Result<Option<Shown>> {
    let shown = |row: &rusqlite::Row<'_>| {
        Ok(Shown { version: (RunId(row.get(0)?), row.get(1)?), body: row.get(2)? })
    };
    connection.prepare_cached(sql!("state"))?.query_row([id], shown).optional()
}

/// Whether there may be news.
pub(super) fn is_news(connection: &Connection, writer: WriterId) -> rusqlite::Result<bool> {
    Ok(any_early(connection)? || !read::numbers(connection, sql!("told"), [writer.0])?.is_empty())
}

fn any_early(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare_cached(sql!("any_early"))?.query_row([], |row| row.get(0))
}

/// Signals whose runs have been started since.
fn adopt_early(connection: &Connection) -> rusqlite::Result<()> {
    let mut arrived = connection.prepare_cached(sql!("arrived"))?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let all: Vec<(i64, i64, i64)> = arrived.query_map([], row)?.collect::<Result<_, _>>()?;
    all.into_iter().try_for_each(|(number, at, run)| adopt(connection, number, at, run))
}

/// A signal that waited for its run is the run's.
fn adopt(connection: &Connection, number: i64, at: i64, run: i64) -> rusqlite::Result<()> {
    let is_open = connection.prepare_cached(sql!("unread"))?.exists([run])?;
    let adopted = connection.prepare_cached(sql!("adopt"))?.execute([number, run])?;
    if adopted > 0 {
        connection.prepare_cached(sql!("adopt_request"))?.execute([number, run])?;
    }
    connection.prepare_cached(sql!("adopted"))?.execute([number])?;
    if adopted == 0 || is_dead(connection, run)? {
        return Ok(());
    }
    if !is_open {
        return bury(connection, RunId(run), Timestamp::from_millis(at));
    }
    connection.prepare_cached(sql!("wake"))?.execute([run, at]).map(drop)
}

/// What has come for runs of a writer since it was told.
pub(super) fn news(connection: &mut Connection, writer: WriterId) -> rusqlite::Result<AllNews> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    adopt_early(&transaction)?;
    let told = read::numbers(&transaction, sql!("told"), [writer.0])?;
    let mut unread = read::mail(&transaction, &read::list(&told))?;
    let mut all = Vec::with_capacity(told.len());
    for run in told {
        let mut hear = transaction.prepare_cached(sql!("hear"))?;
        let heard = hear.query_row([run.0], |row| row.get(0))?;
        all.push(News { run, mail: unread.remove(&run.0).unwrap_or_default(), heard });
    }
    let early = any_early(&transaction)?;
    transaction.commit()?;
    Ok(AllNews { of_runs: all, early })
}
