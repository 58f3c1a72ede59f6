//! Commits batches, each on a connection of its own.

use std::sync::Arc;

use sqlx::Row as _;
use tokio::sync::Mutex;

use super::batch::{Applied, Batch, has};
use super::fault::{Fault, is_in_the_way, late, unavailable};
use super::link::{Connection, Link, Shape};
use super::servers::Servers;
use super::{PATIENCE, ask, mail};
use crate::clock::within;
use crate::error::{Error, ErrorKind};
use crate::model::{Answer, Event, Item, RunId, WriterId};
use crate::store::refusal;

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/query/", $name, ".postgres.sql"))
    };
}

/// Connections that commit: while one waits for the disk, the other is filled.
pub(super) const LANES: usize = 2;

/// The connections that commit. They belong to whoever commits: its thread
/// drives them.
pub(super) struct Lanes {
    servers: Arc<Servers>,
    lanes: [Mutex<Option<Link>>; LANES],
}

/// What became of a batch.
enum Outcome {
    Answered(Vec<Answer>),
    /// A value of some item can never be stored: which, is not known.
    Faulty(String),
}

impl Lanes {
    pub(super) fn new(servers: Arc<Servers>) -> Self {
        Self { servers, lanes: [const { Mutex::const_new(None) }; LANES] }
    }

    /// Commits items of one writer; answers each.
    pub(super) async fn commit(
        &self,
        writer: WriterId,
        items: &[Item],
    ) -> Result<Vec<Answer>, Error> {
        let refused: Vec<Option<Answer>> = items.iter().map(refused).collect();
        if refused.iter().all(Option::is_none) {
            return self.on_a_lane(writer, items).await;
        }
        let good: Vec<Item> = items
            .iter()
            .zip(&refused)
            .filter(|(_, no)| no.is_none())
            .map(|(item, _)| item.clone())
            .collect();
        let answers =
            if good.is_empty() { Vec::new() } else { self.on_a_lane(writer, &good).await? };
        let mut answers = answers.into_iter();
        Ok(refused.into_iter().filter_map(|no| no.or_else(|| answers.next())).collect())
    }

    async fn on_a_lane(&self, writer: WriterId, items: &[Item]) -> Result<Vec<Answer>, Error> {
        let free =
            self.lanes.iter().enumerate().find_map(|(n, lane)| Some((n, lane.try_lock().ok()?)));
        let (n, mut lane) = match free {
            Some(free) => free,
            None => (0, self.lanes[0].lock().await),
        };
        let number = i16::try_from(n).unwrap_or(i16::MAX);
        let committed = async {
            // Out of its lane until it has answered: after an error that the
            // database itself did not give, nothing is known of it.
            let mut link = self.servers.link(&mut lane).await?;
            let committed = commit(&mut link, writer, number, items).await;
            if let Ok(Ok(answers)) = &committed {
                self.servers.memory.acknowledged(items, answers);
            }
            if committed.as_ref().err().is_none_or(|error| Fault::of(error) != Fault::Lost) {
                *lane = Some(link);
            }
            committed
        };
        match within(PATIENCE, committed).await {
            Some(committed) => committed.map_err(unavailable)?,
            None => {
                self.servers.was_late(PATIENCE);
                Err(late(PATIENCE))
            }
        }
    }

    pub(super) async fn close(&self) {
        for lane in &self.lanes {
            // Closed by its thread, or with the process.
            drop(lane.lock().await.take());
        }
    }
}

/// What no store takes, and what Postgres alone does not: ids with NUL.
fn refused(item: &Item) -> Option<Answer> {
    let has_nul =
        |start: &crate::model::Start| start.id.contains('\0') || start.workflow.contains('\0');
    if item.start.as_ref().is_some_and(|start| has_nul(start)) {
        let message = "a workflow id is a text without the character NUL";
        return Some(Answer::Refused(message.to_owned()));
    }
    refusal(item)
}

pub(super) fn fenced() -> Error {
    let message = "this worker was declared dead by another one: it writes nothing any more";
    Error::new(ErrorKind::Fenced, message)
}

/// Commits a batch. The outer error: nothing is known of the connection.
async fn commit(
    link: &mut Link,
    writer: WriterId,
    lane: i16,
    items: &[Item],
) -> Result<Result<Vec<Answer>, Error>, sqlx::Error> {
    match try_commit(link, writer, lane, items).await? {
        Ok(Outcome::Answered(answers)) => Ok(Ok(answers)),
        Err(error) => Ok(Err(error)),
        Ok(Outcome::Faulty(_)) => {
            let mut answers = Vec::with_capacity(items.len());
            for item in items {
                let alone = std::slice::from_ref(item);
                match try_commit(link, writer, lane, alone).await? {
                    Ok(Outcome::Answered(answered)) => answers.extend(answered),
                    Ok(Outcome::Faulty(reason)) => answers.push(Answer::Refused(reason)),
                    Err(error) => return Ok(Err(error)),
                }
            }
            Ok(Ok(answers))
        }
    }
}

/// How often a batch is made again whose items are neither in nor out: what was
/// in their way changed while they went.
const TRIES: usize = 5;

async fn try_commit(
    link: &mut Link,
    writer: WriterId,
    lane: i16,
    items: &[Item],
) -> Result<Result<Outcome, Error>, sqlx::Error> {
    let mut answers: Vec<Option<Answer>> = vec![None; items.len()];
    let mut careful = false;
    for _ in 0..TRIES {
        let open: Vec<usize> = (0..items.len()).filter(|n| answers[*n].is_none()).collect();
        if open.is_empty() {
            break;
        }
        let left: Vec<Item>;
        let batch = if open.len() == items.len() {
            items
        } else {
            left = open.iter().map(|n| items[*n].clone()).collect();
            &left
        };
        if batch.iter().any(mail::reaches_others) {
            match whole(link, writer, lane, batch).await {
                Ok(Some(all)) => open.into_iter().zip(all).for_each(|(n, one)| answers[n] = one),
                Ok(None) => return Ok(Err(fenced())),
                Err(error) => {
                    if let Some(faulty) = faulted(error)? {
                        return Ok(Ok(faulty));
                    }
                }
            }
            continue;
        }
        let statement = Batch::of(batch, careful).statement(writer, lane);
        let sent = link
            .ask(Shape::Single, |c| {
                let statement = statement.persistent(c.keeps_names());
                Box::pin(statement.fetch_one(&mut **c))
            })
            .await;
        let applied = match sent {
            Ok(row) => Applied::read(&row)?.sorted(),
            Err(error) if !careful && is_in_the_way(&error) => {
                careful = true;
                continue;
            }
            Err(error) => match faulted(error)? {
                Some(faulty) => return Ok(Ok(faulty)),
                None => continue,
            },
        };
        if !applied.live {
            return Ok(Err(fenced()));
        }
        for n in open {
            answers[n] = match answer(&applied, &items[n]) {
                Some(answer) => Some(answer),
                // A fresh look: it may have waited for somebody.
                None => {
                    let item = items[n].clone();
                    link.ask(Shape::Single, ask!(c => resolve(c, &item).await)).await?
                }
            };
        }
    }
    Ok(all_answered(answers))
}

fn all_answered(answers: Vec<Option<Answer>>) -> Result<Outcome, Error> {
    let all: Option<Vec<Answer>> = answers.into_iter().collect();
    all.map(Outcome::Answered).ok_or_else(|| {
        let message = "others are in the way of what is to be written, again and again";
        Error::new(ErrorKind::Unavailable, message)
    })
}

/// What is done about a statement that failed. None: it is sent again.
fn faulted(error: sqlx::Error) -> Result<Option<Outcome>, sqlx::Error> {
    match Fault::of(&error) {
        Fault::Item(reason) => Ok(Some(Outcome::Faulty(reason))),
        Fault::Again => Ok(None),
        Fault::Lost | Fault::Wait => Err(error),
    }
}

/// A batch that reaches other runs: in one transaction with what it does there.
/// An item without an answer is to be sent again. None: the writer was declared
/// dead.
async fn whole(
    link: &mut Link,
    writer: WriterId,
    lane: i16,
    items: &[Item],
) -> Result<Option<Vec<Option<Answer>>>, sqlx::Error> {
    let items = items.to_vec();
    link.ask(
        Shape::Whole,
        ask!(c => {
            let Some(mut number) = mail::prepare(c, writer, lane, &items).await? else {
                return Ok(None);
            };
            let statement = Batch::of(&items, true).statement(writer, lane);
            let statement = statement.persistent(c.keeps_names());
            let applied = Applied::read(&statement.fetch_one(&mut **c).await?)?.sorted();
            let mut answers = Vec::with_capacity(items.len());
            for item in &items {
                let answered = match answer(&applied, item) {
                    Some(answer) => Some(answer),
                    None => resolve(c, item).await?,
                };
                answers.push(match answered {
                    Some(answer) => Some(mail::after(c, item, answer, &mut number).await?),
                    None => None,
                });
            }
            Ok(Some(answers))
        }),
    )
    .await
}

/// What became of an item that went in.
fn answer(applied: &Applied, item: &Item) -> Option<Answer> {
    let run = item.run;
    let is_in = match (&item.start, item.events.is_empty()) {
        (Some(_), _) => has(&applied.started, run),
        (None, false) => has(&applied.placed, run),
        (None, true) => has(&applied.rest, run),
    };
    let not_ended = item.start.is_none() && item.end.is_some() && !has(&applied.ended, run);
    is_in.then_some(if not_ended { Answer::NotEnded } else { Answer::Committed })
}

/// Why an item did not go in. None: now it would.
async fn resolve(connection: &mut Connection, item: &Item) -> Result<Option<Answer>, sqlx::Error> {
    match (&item.start, item.events.first()) {
        (Some(start), _) => who_has_id(connection, item, &start.id).await,
        (None, Some(first)) => in_its_place(connection, item, first).await,
        (None, None) => who_owns(connection, item).await,
    }
}

async fn who_has_id(
    connection: &mut Connection,
    item: &Item,
    id: &str,
) -> Result<Option<Answer>, sqlx::Error> {
    let holder = connection.query_as::<(i64, i64)>(sql!("who_has_id")).bind(id);
    if let Some((holder, writer)) = holder.fetch_optional(&mut **connection).await? {
        // Sent again: all of it is in.
        return Ok(Some(match holder == item.run.0 {
            true if writer == item.writer.0 => Answer::Committed,
            true => Answer::Used,
            false => Answer::Taken(RunId(holder)),
        }));
    }
    Ok(is_open(connection, item.run).await?.map(|_| Answer::Used))
}

async fn in_its_place(
    connection: &mut Connection,
    item: &Item,
    first: &Event,
) -> Result<Option<Answer>, sqlx::Error> {
    let seq = i32::try_from(first.seq).unwrap_or(i32::MAX);
    let call = first.call.map(|call| i32::try_from(call.0).unwrap_or(i32::MAX));
    let is_same: Option<bool> = connection
        .query_scalar(sql!("is_same"))
        .bind(item.run.0)
        .bind(seq)
        .bind(item.writer.0)
        .bind(first.kind.as_str())
        .bind(call)
        .bind(first.at.as_millis())
        .fetch_optional(&mut **connection)
        .await?;
    let open = is_open(connection, item.run).await?;
    match is_same {
        // Sent again: all of it is in; it ended its run, unless that was
        // prevented.
        Some(true) if item.end.is_some() && open == Some(true) => Ok(Some(Answer::NotEnded)),
        Some(true) if is_undelivered(connection, item).await? => Ok(Some(Answer::NotEnded)),
        Some(true) => Ok(Some(Answer::Committed)),
        Some(false) => Ok(Some(Answer::Conflict)),
        None if open == Some(false) => Ok(Some(Answer::Conflict)),
        None => {
            let has_place = connection.query_scalar(sql!("has_place")).bind(item.run.0).bind(seq);
            if !has_place.fetch_one(&mut **connection).await? {
                return Ok(Some(Answer::MissingPredecessor));
            }
            // Whoever does not hold a run cannot end it.
            let owner = owner(connection, item.run).await?.flatten();
            let foreign = item.end.is_some() && owner != Some(item.writer.0);
            Ok(foreign.then_some(Answer::Conflict))
        }
    }
}

/// Whether what would have ended the run is there without its turn: the end that
/// it may have by now is another one.
async fn is_undelivered(connection: &mut Connection, item: &Item) -> Result<bool, sqlx::Error> {
    let Some(seq) = item.delivered_end() else { return Ok(false) };
    let text = super::shared(include_str!("../../../sql/query/is_delivered.sql"));
    let seq = i32::try_from(seq).unwrap_or(i32::MAX);
    let delivered = connection.query_scalar(text).bind(item.run.0).bind(seq);
    Ok(delivered.fetch_optional(&mut **connection).await? == Some(false))
}

/// An item without rows.
async fn who_owns(connection: &mut Connection, item: &Item) -> Result<Option<Answer>, sqlx::Error> {
    Ok(match owner(connection, item.run).await? {
        Some(Some(owner)) if owner == item.writer.0 => None,
        // It was this item that freed it.
        Some(None) => Some(Answer::Committed),
        Some(Some(_)) => Some(Answer::Conflict),
        None => match is_open(connection, item.run).await? {
            Some(_) => Some(Answer::Conflict),
            None => Some(Answer::MissingPredecessor),
        },
    })
}

async fn owner(
    connection: &mut Connection,
    run: RunId,
) -> Result<Option<Option<i64>>, sqlx::Error> {
    let text = super::shared(include_str!("../../../sql/query/who_owns.sql"));
    let row = connection.query(text).bind(run.0).fetch_optional(&mut **connection).await?;
    row.map(|row| row.try_get("owner")).transpose()
}

/// None: there is no such run.
async fn is_open(connection: &mut Connection, run: RunId) -> Result<Option<bool>, sqlx::Error> {
    let text = super::shared(include_str!("../../../sql/query/is_open.sql"));
    connection.query_scalar(text).bind(run.0).fetch_optional(&mut **connection).await
}
