//! Messages between runs, and children. What they touch is locked first, in the
//! order of numbers; then each has statements of its own, in one transaction with
//! the batch that it comes with.

use super::link::Connection;
use super::{control, read, reply, shared};
use crate::clock::Timestamp;
use crate::model::{
    AllNews, Answer, Asker, CallId, Command, CommandKind, End, Item, News, Post, RunId, Shown,
    Start, Traffic, Undelivered, WriterId,
};
use crate::store::{not_taken_id, not_taken_number, unread_reason};

macro_rules! sql {
    ($name:literal) => {
        shared(include_str!(concat!("../../../sql/mail/", $name, ".sql")))
    };
}

macro_rules! own_sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/mail/", $name, ".postgres.sql"))
    };
}

type Done<T> = Result<T, sqlx::Error>;
type Delivered = Result<(), Undelivered>;

/// Whether an item reaches other runs, or has mail to be seen to: it goes in with
/// more than one statement.
pub(super) fn reaches_others(item: &Item) -> bool {
    item.all_traffic().next().is_some()
        || (item.end.is_some() && (item.heard > 0 || item.parent.is_some()))
}

/// Locks what the items reach. Gives numbers for their children; none: the writer
/// was declared dead.
pub(super) async fn prepare(
    connection: &mut Connection,
    writer: WriterId,
    lane: i16,
    items: &[Item],
) -> Done<Option<i64>> {
    let live = connection.query(own_sql!("lane")).bind(writer.0).bind(lane);
    if live.fetch_optional(&mut **connection).await?.is_none() {
        return Ok(None);
    }
    let traffic = || items.iter().flat_map(Item::all_traffic);
    let children: usize = traffic().map(|traffic| traffic.children.len()).sum();
    let mut first = 0;
    // Before any run is locked: a next generation gets its number after that.
    if children > 0 || items.iter().any(|item| item.successor.is_some()) {
        let count = i64::try_from(children).unwrap_or(i64::MAX);
        let reserve = include_str!("../../../sql/query/reserve.postgres.sql");
        let reserve = connection.query_scalar(reserve).bind("runs").bind(count);
        first = reserve.fetch_one(&mut **connection).await?;
    }
    let posts = traffic().flat_map(|traffic| traffic.posts.iter().map(|(_, post)| &post.to));
    let cancels = traffic().flat_map(|traffic| traffic.cancels.iter().map(|(_, id, _)| id));
    let ids: Vec<String> = posts.chain(cancels).map(|id| id.to_string()).collect();
    let mut runs: Vec<i64> = Vec::new();
    if !ids.is_empty() {
        let targets = connection.query_scalar(own_sql!("targets")).bind(ids);
        runs = targets.fetch_all(&mut **connection).await?;
    }
    runs.extend(reply::askers(connection, items).await?);
    runs.extend(items.iter().map(|item| item.run.0));
    runs.extend(items.iter().filter_map(|item| item.parent).map(|parent| parent.0));
    connection.query(own_sql!("lock")).bind(runs).execute(&mut **connection).await?;
    Ok(Some(first))
}

/// What an item that was answered so does to others. `number`: of the next child.
pub(super) async fn after(
    connection: &mut Connection,
    item: &Item,
    answer: Answer,
    number: &mut i64,
) -> Done<Answer> {
    // What it took, and what it answered: before it ends, or it would be left over.
    for traffic in item.traffic_of(&answer) {
        take(connection, item.run, &traffic.taken).await?;
        for (message, body) in &traffic.replies {
            reply::answer(connection, item.run, message, body, item.at()).await?;
        }
    }
    if let (Answer::Committed, Some(end)) = (&answer, &item.end) {
        ended(connection, item, end).await?;
    }
    let mut undelivered = Vec::new();
    for traffic in item.traffic_of(&answer) {
        act(connection, item, traffic, (&mut undelivered, number)).await?;
    }
    let all = undelivered.is_empty() || answer != Answer::Committed;
    Ok(if all { answer } else { Answer::Undelivered(undelivered) })
}

/// `found`: what is not delivered, and the number of the next child.
async fn act(
    connection: &mut Connection,
    item: &Item,
    traffic: &Traffic,
    found: (&mut Vec<(CallId, Undelivered)>, &mut i64),
) -> Done<()> {
    let (undelivered, number) = found;
    for (call, start) in &traffic.children {
        if let Err(why) = begin_child(connection, item, (*call, *number), start).await? {
            undelivered.push((*call, why));
        }
        *number += 1;
    }
    for (call, one) in &traffic.posts {
        if let Err(why) = post(connection, one).await? {
            undelivered.push((*call, why));
        }
    }
    if let Some(state) = &traffic.state {
        let publish = connection.query(sql!("publish")).bind(item.run.0);
        publish.bind(state.replace('\0', "\u{FFFD}")).execute(&mut **connection).await?;
    }
    for (call, id, by) in &traffic.cancels {
        if let Some(run) = own_child(connection, item, *call, id).await? {
            let (kind, by, at) = (CommandKind::Cancel, by.clone(), item.at());
            let command = Command { number: 0, kind, by, reason: None, at };
            control::command(connection, run, command, false).await?;
        }
    }
    Ok(())
}

async fn own_child(
    connection: &mut Connection,
    of: &Item,
    call: CallId,
    id: &str,
) -> Done<Option<RunId>> {
    let call = i32::try_from(call.0).unwrap_or(i32::MAX);
    let own = connection.query_scalar::<i64>(sql!("own_child")).bind(id.to_owned());
    let own = own.bind(of.run.0).bind(call).fetch_optional(&mut **connection).await?;
    Ok(own.map(RunId))
}

/// What a run had and did not take is its next generation's, or waits for people.
async fn not_taken(connection: &mut Connection, item: &Item, traffic: &Traffic) -> Done<()> {
    let at = item.at().as_millis();
    for (n, (name, body)) in traffic.not_taken.iter().enumerate() {
        let (message, body) = (not_taken_id(item.run, n), body.replace('\0', "\u{FFFD}"));
        let remember = connection.query(sql!("remember_one")).bind(message.clone());
        if remember.bind(item.run.0).execute(&mut **connection).await?.rows_affected() == 0 {
            continue;
        }
        let next = connection.query_scalar::<i64>(sql!("successor")).bind(item.run.0);
        if let Some(next) = next.fetch_optional(&mut **connection).await? {
            let number = not_taken_number(RunId(next), n);
            let put = connection.query(sql!("put_back")).bind(number).bind(next).bind(message);
            let put = put.bind(name.to_string()).bind(body).bind(at);
            put.execute(&mut **connection).await?;
            wake(connection, next, at).await?;
        } else {
            let letter = connection.query(sql!("letter")).bind(item.run.0);
            let letter = letter.bind(unread_reason(name)).bind(at).bind(body);
            letter.execute(&mut **connection).await?;
        }
    }
    Ok(())
}

/// The mail of a run that ended, and whoever waits for its end.
async fn ended(connection: &mut Connection, item: &Item, end: &End) -> Done<()> {
    if let Some(traffic) = &item.last_traffic {
        not_taken(connection, item, traffic).await?;
    }
    if item.heard > 0 && end.is_last() {
        bury(connection, item.run, end.at).await?;
    }
    if item.heard > 0 && item.successor.is_some() {
        follow(connection, item.run).await?;
    }
    if item.parent.is_some() {
        notify(connection, item.run, end.at).await?;
    }
    Ok(())
}

async fn newest(connection: &mut Connection, id: &str) -> Done<Option<RunId>> {
    let newest = connection.query_scalar::<i64>(sql!("newest")).bind(id.to_owned());
    Ok(newest.fetch_optional(&mut **connection).await?.map(RunId))
}

/// The newest run of an id, locked if it is open. Whoever waited for the lock while
/// it was restarted looks again.
async fn lock_newest(connection: &mut Connection, id: &str) -> Done<Option<RunId>> {
    let mut last = None;
    loop {
        let run = newest(connection, id).await?;
        let Some(found) = run else { return Ok(None) };
        if run == last || unread(connection, found.0).await?.is_some() {
            return Ok(run);
        }
        last = run;
    }
}

async fn take(connection: &mut Connection, run: RunId, numbers: &[i64]) -> Done<()> {
    let mut taken = 0_i64;
    for number in numbers {
        let remember = connection.query(sql!("remember")).bind(run.0).bind(*number);
        remember.execute(&mut **connection).await?;
        let take = connection.query(sql!("take")).bind(run.0).bind(*number);
        taken += i64::from(take.execute(&mut **connection).await?.rows_affected() > 0);
    }
    if taken > 0 {
        let done = connection.query(sql!("taken")).bind(run.0).bind(taken);
        done.execute(&mut **connection).await?;
    }
    Ok(())
}

/// `call` and the number that the child gets.
async fn begin_child(
    connection: &mut Connection,
    item: &Item,
    (call, number): (CallId, i64),
    start: &Start,
) -> Done<Delivered> {
    let call = i32::try_from(call.0).unwrap_or(i32::MAX);
    let holder = connection
        .query_as::<(Option<i64>, Option<i32>)>(sql!("holder"))
        .bind(start.id.to_string());
    if let Some(holder) = holder.fetch_optional(&mut **connection).await? {
        let same = holder == (Some(item.run.0), Some(call));
        return Ok(if same { Ok(()) } else { Err(Undelivered::Taken) });
    }
    let begun = connection
        .query(sql!("child"))
        .bind(number)
        .bind(start.workflow.to_string())
        .bind(start.id.to_string())
        .bind(item.run.0)
        .bind(call)
        .bind(start.args.replace('\0', "\u{FFFD}"))
        .bind(start.seed)
        .bind(start.meta.as_deref().map(str::to_owned))
        .bind(item.writer.0)
        .bind(start.at.as_millis())
        .execute(&mut **connection)
        .await?;
    if begun.rows_affected() == 0 {
        // Somebody was first, in this moment.
        return Ok(Err(Undelivered::Taken));
    }
    let activate = shared(include_str!("../../../sql/commit/activate.sql"));
    let activate = connection.query(activate).bind(number).bind(None::<i64>);
    activate.bind(start.at.as_millis()).execute(&mut **connection).await?;
    Ok(Ok(()))
}

/// How many messages an open run has not taken; it is locked.
pub(super) async fn unread(connection: &mut Connection, run: i64) -> Done<Option<i64>> {
    let unread = connection.query_scalar(own_sql!("unread")).bind(run);
    unread.fetch_optional(&mut **connection).await
}

/// Delivers a signal, once.
async fn post(connection: &mut Connection, post: &Post) -> Done<Delivered> {
    let (to, message) = (post.to.to_string(), post.message.to_string());
    // Locked before it is asked whether the message is known.
    let run = lock_newest(connection, &to).await?;
    let waiting = match run {
        Some(run) => {
            // What was sent before comes before.
            let early = connection.query_as::<(i64, i64)>(sql!("early_of")).bind(to.clone());
            for (number, at) in early.fetch_all(&mut **connection).await? {
                adopt(connection, number, at, run.0).await?;
            }
            unread(connection, run.0).await?
        }
        None => {
            let count = connection.query_scalar(sql!("early_count")).bind(to.clone());
            Some(count.fetch_one(&mut **connection).await?)
        }
    };
    let known = connection.query_scalar(sql!("known")).bind(message.clone());
    if known.fetch_one(&mut **connection).await? {
        return Ok(Ok(()));
    }
    let Some(waiting) = waiting else { return Ok(Err(Undelivered::Ended)) };
    if waiting >= i64::from(post.limit) {
        return Ok(Err(Undelivered::Full));
    }
    let (name, body) = (post.name.to_string(), post.body.replace('\0', "\u{FFFD}"));
    let (at, kind) = (post.at.as_millis(), post.kind().as_str());
    let (asker, call) = post.asker.map_or((None, None), Asker::columns);
    let call = call.map(|call| i32::try_from(call).unwrap_or(i32::MAX));
    let Some(RunId(run)) = run else {
        let early = connection.query(sql!("early")).bind(to).bind(message).bind(kind).bind(name);
        let early = early.bind(asker).bind(call).bind(body).bind(at);
        early.execute(&mut **connection).await?;
        return Ok(Ok(()));
    };
    let put = connection.query(sql!("put")).bind(run).bind(message.clone()).bind(kind);
    put.bind(name).bind(body).bind(at).execute(&mut **connection).await?;
    wake(connection, run, at).await?;
    if post.asker.is_some() {
        let request = connection.query(sql!("request")).bind(message).bind(run);
        request.bind(asker).bind(call).execute(&mut **connection).await?;
    }
    Ok(Ok(()))
}

pub(super) async fn wake(connection: &mut Connection, run: i64, at: i64) -> Done<()> {
    connection.query(sql!("wake")).bind(run).bind(at).execute(&mut **connection).await.map(drop)
}

/// Delivers signals of a client, in a transaction.
pub(super) async fn post_all(
    connection: &mut Connection,
    mut posts: Vec<Post>,
) -> Done<Vec<Delivered>> {
    // Whoever else sends to the same runs locks them in the same order.
    posts.sort_by(|one, other| one.to.cmp(&other.to));
    let mut delivered = Vec::with_capacity(posts.len());
    for one in &posts {
        delivered.push(post(connection, one).await?);
    }
    Ok(delivered)
}

/// What a run has not taken when it ends waits for people.
pub(super) async fn bury(connection: &mut Connection, run: RunId, at: Timestamp) -> Done<()> {
    let bury = connection.query(sql!("bury")).bind(run.0).bind(at.as_millis());
    bury.execute(&mut **connection).await?;
    for text in [sql!("remember_all"), sql!("clear")] {
        connection.query(text).bind(run.0).execute(&mut **connection).await?;
    }
    reply::leave_unanswered(connection, run, at).await
}

/// Whether a run is open, or dead: then it may be redriven. It is locked.
pub(super) async fn takes_mail(connection: &mut Connection, run: i64) -> Done<bool> {
    Ok(unread(connection, run).await?.is_some() || is_dead(connection, run).await?)
}

async fn is_dead(connection: &mut Connection, run: i64) -> Done<bool> {
    let is_dead = connection.query_scalar(own_sql!("is_dead")).bind(run);
    Ok(is_dead.fetch_optional(&mut **connection).await?.unwrap_or(false))
}

/// The end of a child, for its parent, if that goes on or may.
pub(super) async fn notify(connection: &mut Connection, run: RunId, at: Timestamp) -> Done<()> {
    let parent = connection.query_scalar::<i64>(sql!("parent")).bind(run.0);
    let Some(parent) = parent.fetch_optional(&mut **connection).await? else { return Ok(()) };
    if !takes_mail(connection, parent).await? {
        return Ok(());
    }
    let notify = connection.query(sql!("notify")).bind(run.0);
    if notify.execute(&mut **connection).await?.rows_affected() > 0 {
        wake(connection, parent, at.as_millis()).await?;
    }
    Ok(())
}

/// What a run has not taken goes to its next generation.
async fn follow(connection: &mut Connection, run: RunId) -> Done<()> {
    let next = connection.query_scalar::<i64>(sql!("successor")).bind(run.0);
    let Some(next) = next.fetch_optional(&mut **connection).await? else { return Ok(()) };
    let follow = connection.query(sql!("follow")).bind(run.0).bind(next);
    let followed = follow.execute(&mut **connection).await?.rows_affected();
    let requests = connection.query(sql!("requests_follow")).bind(run.0).bind(next);
    let open = requests.execute(&mut **connection).await?.rows_affected();
    let [followed, open] = [followed, open].map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    let done = connection.query(sql!("followed")).bind(next).bind(followed).bind(open);
    done.execute(&mut **connection).await.map(drop)
}

/// What the run of a workflow id shows.
pub(super) async fn shown(connection: &mut Connection, id: String) -> Done<Option<Shown>> {
    let shown = connection.query_as::<(i64, i64, String)>(sql!("state")).bind(id);
    let shown = shown.fetch_optional(&mut **connection).await?;
    Ok(shown
        .map(|(run, version, body)| Shown { version: (RunId(run), version), body: body.into() }))
}

/// Whether there may be news.
pub(super) async fn is_news(connection: &mut Connection, writer: WriterId) -> Done<bool> {
    let told = connection.query_scalar::<i64>(sql!("told")).bind(writer.0);
    if !told.fetch_all(&mut **connection).await?.is_empty() {
        return Ok(true);
    }
    any_early(connection).await
}

async fn any_early(connection: &mut Connection) -> Done<bool> {
    connection.query_scalar(sql!("any_early")).fetch_one(&mut **connection).await
}

/// Signals whose runs have been started since.
async fn adopt_early(connection: &mut Connection) -> Done<()> {
    let arrived = connection.query_as::<(i64, i64, String)>(own_sql!("arrived"));
    for (number, at, id) in arrived.fetch_all(&mut **connection).await? {
        if let Some(run) = lock_newest(connection, &id).await? {
            adopt(connection, number, at, run.0).await?;
        }
    }
    Ok(())
}

/// A signal that waited for its run is the run's.
async fn adopt(connection: &mut Connection, number: i64, at: i64, run: i64) -> Done<()> {
    // Its lock comes first: somebody else may have adopted it meanwhile.
    let is_open = unread(connection, run).await?.is_some();
    let adopt = connection.query(sql!("adopt")).bind(number).bind(run);
    let adopted = adopt.execute(&mut **connection).await?.rows_affected() > 0;
    if adopted {
        let request = connection.query(sql!("adopt_request")).bind(number).bind(run);
        request.execute(&mut **connection).await?;
    }
    connection.query(sql!("adopted")).bind(number).execute(&mut **connection).await?;
    if !adopted || is_dead(connection, run).await? {
        return Ok(());
    }
    if is_open {
        return wake(connection, run, at).await;
    }
    bury(connection, RunId(run), Timestamp::from_millis(at)).await
}

/// What has come for runs of a writer since it was told.
pub(super) async fn news(connection: &mut Connection, writer: WriterId) -> Done<AllNews> {
    adopt_early(connection).await?;
    let told = connection.query_scalar::<i64>(sql!("told")).bind(writer.0);
    let told = told.fetch_all(&mut **connection).await?;
    let mut of_runs = Vec::with_capacity(told.len());
    for run in told {
        // Locked by it: what is read then is all that has come.
        let hear = connection.query_scalar::<i64>(sql!("hear")).bind(run);
        let Some(heard) = hear.fetch_optional(&mut **connection).await? else { continue };
        let mut mail = read::mail(connection, &[run]).await?;
        of_runs.push(News { run: RunId(run), mail: mail.remove(&run).unwrap_or_default(), heard });
    }
    let early = any_early(connection).await?;
    Ok(AllNews { of_runs, early })
}

/// Before its child is ended from outside.
pub(super) async fn lock_parent(connection: &mut Connection, run: RunId) -> Done<()> {
    connection.query(own_sql!("lock_parent")).bind(run.0).execute(&mut **connection).await.map(drop)
}
