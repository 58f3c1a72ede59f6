//! The store in Postgres: any number of workers on any number of machines.
//!
//! A process has six connections, each made when it is needed: two that commit,
//! one that shows that the worker lives, one that listens, and two for everything
//! else.
//!
//! Locks are taken in one order, so that nobody waits in a circle: the lane of the
//! writer, and the counter of runs; workflow ids, in their order; then of open runs, in the order of their
//! numbers, rows of `active` before those of `runs` before all others. Who takes
//! runs out of the queue waits for no lock at all.

mod batch;
mod control;
mod fault;
mod fleet;
mod io;
mod link;
mod list;
mod mail;
mod memory;
mod news;
mod open;
mod read;
mod reply;
mod servers;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trouble;
mod write;

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use super::{Counter, Fleet, Loaded, Pulse, Store, Sweep, TakeOver};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::model::{
    AllNews, Answer, Command, Commanded, DeadLetter, End, Event, Item, Post, RunId, RunQuery,
    RunRecord, RunSummary, Undelivered, WriterId,
};
use io::Io;
use link::Shape;
use memory::Memory;
use news::{Kind, News};
use servers::Servers;
use write::{LANES, Lanes};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/query/", $name, ".postgres.sql"))
    };
}

/// What is asked of a connection, to be asked again if need be.
macro_rules! ask {
    ($connection:ident => $asked:expr) => {
        move |$connection| Box::pin(async move { $asked })
    };
}
use ask;

/// How long the database has to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for what may touch many rows.
const BULK: Duration = Duration::from_secs(300);

/// However short the lease is, so long a sign of life may take.
const SHORTEST_SIGN: Duration = Duration::from_millis(500);

/// A statement that both databases understand, with the parameters of this one.
fn shared(text: &'static str) -> AssertSqlSafe<String> {
    AssertSqlSafe(text.replace('?', "$"))
}

/// How to reach a database.
#[derive(Clone, Debug)]
pub(crate) struct PostgresOptions {
    pub(crate) url: String,
    pub(crate) schema: String,
    /// Runs workflows; if not, it waits for their ends.
    pub(crate) worker: bool,
    /// The URL is of a pooler that gives each transaction another connection.
    pub(crate) pooled: bool,
    /// A worker that does not show for so long that it lives is dead.
    pub(crate) lease: Duration,
    /// Told when the database forgot something.
    pub(crate) pulse: Arc<Pulse>,
    /// Reads, and leaves the schema as it is.
    pub(crate) read_only: bool,
}

#[cfg(test)]
impl PostgresOptions {
    /// A worker's, in a schema that nobody has. None: there is no Postgres.
    pub(crate) fn of_a_test() -> Option<Self> {
        let url = workflow_test_postgres::url()?.to_owned();
        let schema = format!("t{}", uuid::Uuid::new_v4().simple());
        let lease = Duration::from_secs(15);
        let (worker, pooled, read_only, pulse) = (true, false, false, Arc::default());
        Some(Self { url, schema, worker, pooled, lease, pulse, read_only })
    }
}

/// The SQL that makes a schema.
pub(crate) fn schema_script(schema: &str) -> Result<String, Error> {
    open::check_schema(schema)?;
    Ok(open::script(schema, 0))
}

/// Keeps runs in one schema of a Postgres database.
pub(crate) struct PostgresStore(Arc<Inner>);

struct Inner {
    io: Io,
    lanes: Lanes,
    claimant: Mutex<Arc<Claimant>>,
    news: Arc<News>,
    worker: bool,
    /// How long a sign of life may take: there are three in a lease.
    sign: Duration,
    servers: Arc<Servers>,
}

/// What whoever claims can run.
#[derive(Debug)]
struct Claimant {
    build: Arc<str>,
    /// None: everything.
    workflows: Option<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PostgresStore {
    /// Connects, and brings the schema up to date.
    pub(crate) async fn open(options: PostgresOptions) -> Result<Self, Error> {
        open::check_schema(&options.schema)?;
        let PostgresOptions { url, schema, pooled, pulse, worker, .. } = &options;
        let memory = Memory::new(Arc::clone(pulse), *worker);
        let servers = Arc::new(Servers::of(url, schema, *pooled, memory)?);
        let io = Io::start(Arc::clone(&servers))?;
        let (news, schema) = (News::new(&options.schema), options.schema);
        let read_only = options.read_only;
        io.reach().await?;
        io.run(Shape::Bulk, ask!(c => open::migrate(c, schema, read_only).await)).await??;
        io.spawn(|connections| Arc::clone(&news).send(connections));
        io.spawn(|connections| Arc::clone(&news).listen(connections));
        let claimant = Claimant { build: Arc::default(), workflows: None };
        Ok(Self(Arc::new(Inner {
            io,
            lanes: Lanes::new(Arc::clone(&servers)),
            claimant: Mutex::new(Arc::new(claimant)),
            news,
            worker: options.worker,
            sign: (options.lease / 3).clamp(SHORTEST_SIGN, PATIENCE),
            servers,
        })))
    }
}

impl Inner {
    fn claims_as(&self, claimant: Claimant) {
        *lock(&self.claimant) = Arc::new(claimant);
    }

    fn claimant(&self) -> Arc<Claimant> {
        Arc::clone(&lock(&self.claimant))
    }

    /// A writer has its lanes before it writes: one for claims, -1, and those
    /// that commit.
    async fn ensure(&self, writer: WriterId) -> Result<(), Error> {
        match self.servers.memory.has_lanes(writer) {
            Some(true) => return Ok(()),
            Some(false) => {}
            None => return Err(write::fenced()),
        }
        let lanes: Vec<i16> = (-1..).take(LANES + 1).collect();
        self.io
            .run(
                Shape::Single,
                ask!(c => {
                    let join = c.query(sql!("join_lanes")).bind(writer.0).bind(lanes);
                    join.execute(&mut **c).await.map(drop)
                }),
            )
            .await?;
        self.servers.memory.made_lanes(writer);
        Ok(())
    }
}

impl Inner {
    /// A worker's lanes stay, fenced, as long as its row; a client has none.
    async fn remove_lanes(&self) {
        let writers = self.servers.memory.writers();
        if self.worker || writers.is_empty() {
            return;
        }
        let left = self.io.run(
            Shape::Single,
            ask!(c => {
                c.query(sql!("leave_lanes")).bind(writers).execute(&mut **c).await.map(drop)
            }),
        );
        if let Err(error) = left.await {
            tracing::debug!("what a client leaves stays: {error}");
        }
    }
}

impl Inner {
    /// A client is never declared dead: if its lanes are gone the database
    /// forgot them, and they are made again.
    fn unless_over(&self, writer: WriterId, error: Error) -> Error {
        if self.worker || error.kind() != ErrorKind::Fenced {
            return error;
        }
        self.servers.memory.lost_lanes(writer);
        Error::because(ErrorKind::Unavailable, "the database forgot this client", error)
    }
}

impl PostgresStore {
    async fn find_by(&self, text: &'static str, id: &str) -> Result<Option<RunRecord>, Error> {
        if id.contains('\0') {
            return Ok(None);
        }
        let id = id.to_owned();
        let found = self.0.io.run(
            Shape::Single,
            ask!(c => c.query(shared(text)).bind(id).fetch_optional(&mut **c).await),
        );
        let record = found.await?.map(|row| read::record(&row));
        record.transpose().map_err(|error| corrupt(error.to_string()))
    }
}

fn corrupt(reason: String) -> Error {
    Error::new(ErrorKind::Corrupt, reason)
}

#[async_trait]
impl Store for PostgresStore {
    async fn commit(&self, items: &[Item]) -> Result<Vec<Answer>, Error> {
        let mut answers = Vec::with_capacity(items.len());
        for of_writer in items.chunk_by(|one, other| one.writer == other.writer) {
            let Some(first) = of_writer.first() else { continue };
            self.0.ensure(first.writer).await?;
            let answered = self.0.lanes.commit(first.writer, of_writer).await;
            answers.extend(answered.map_err(|error| self.0.unless_over(first.writer, error))?);
        }
        Ok(answers)
    }

    fn lanes(&self) -> usize {
        LANES
    }

    fn fleet(&self) -> Option<Arc<dyn Fleet>> {
        Some(Arc::clone(&self.0) as Arc<dyn Fleet>)
    }

    async fn reserve(&self, counter: Counter, count: u32) -> Result<i64, Error> {
        if counter == Counter::Writers {
            // Of chance: a database that forgot would give a number twice.
            return Ok(i64::try_from(uuid::Uuid::new_v4().as_u128() >> 75).unwrap_or(i64::MAX));
        }
        let first = self
            .0
            .io
            .run(
                Shape::Single,
                ask!(c => {
                    let reserve = c.query_scalar(sql!("reserve")).bind("runs");
                    reserve.bind(i64::from(count)).fetch_one(&mut **c).await
                }),
            )
            .await?;
        self.0.servers.memory.reserved(first + i64::from(count));
        Ok(first)
    }

    async fn take_over(&self, over: TakeOver) -> Result<(), Error> {
        self.0.io.run(Shape::Bulk, ask!(c => control::take_over(c, over).await)).await
    }

    async fn claim(
        &self,
        writer: WriterId,
        now: Timestamp,
        limit: u32,
        claims: RangeInclusive<u32>,
    ) -> Result<Vec<RunId>, Error> {
        self.0.ensure(writer).await?;
        let (by, claims) = (self.0.claimant(), (*claims.start(), *claims.end()));
        self.0
            .io
            .run_once(
                Shape::Single,
                ask!(c => control::claim(c, writer, now, limit, claims, by).await),
            )
            .await
    }

    async fn suspected(&self, runs: &[RunId]) -> Result<Vec<RunId>, Error> {
        let numbers = read::numbers(runs);
        let suspected = self.0.io.run(
            Shape::Single,
            ask!(c => {
                c.query_scalar(sql!("suspected")).bind(numbers).fetch_all(&mut **c).await
            }),
        );
        suspected.await.map(read::runs)
    }

    async fn vindicate(&self, runs: &[RunId]) -> Result<(), Error> {
        let numbers = read::numbers(runs);
        self.0
            .io
            .run(
                Shape::Single,
                ask!(c => {
                    c.query(sql!("vindicate")).bind(numbers).execute(&mut **c).await.map(drop)
                }),
            )
            .await
    }

    async fn owned(&self, writer: WriterId) -> Result<Vec<RunId>, Error> {
        let owned = self.0.io.run(
            Shape::Single,
            ask!(c => {
                let text = shared(include_str!("../../../sql/query/owned.sql"));
                c.query_scalar(text).bind(writer.0).fetch_all(&mut **c).await
            }),
        );
        owned.await.map(read::runs)
    }

    async fn load(&self, runs: &[RunId]) -> Result<Vec<(RunId, Loaded)>, Error> {
        let numbers = read::numbers(runs);
        self.0.io.run(Shape::Moment, ask!(c => read::load(c, numbers).await)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        let by = self.0.claimant();
        let due: Option<i64> = self
            .0
            .io
            .run(
                Shape::Single,
                ask!(c => {
                    let due = c.query_scalar(sql!("next_due")).bind(by.workflows.clone());
                    due.bind(by.build.to_string()).fetch_optional(&mut **c).await
                }),
            )
            .await?;
        Ok(due.map(Timestamp::from_millis))
    }

    async fn release(&self, writer: WriterId, now: Timestamp) -> Result<(), Error> {
        self.0
            .io
            .run(
                Shape::Single,
                ask!(c => {
                    let release = c.query(sql!("release")).bind(writer.0).bind(now.as_millis());
                    release.execute(&mut **c).await.map(drop)
                }),
            )
            .await
    }

    async fn find(&self, id: &str) -> Result<Option<RunRecord>, Error> {
        self.find_by(include_str!("../../../sql/query/find.sql"), id).await
    }

    async fn find_first(&self, id: &str) -> Result<Option<RunRecord>, Error> {
        self.find_by(include_str!("../../../sql/query/find_first.sql"), id).await
    }

    async fn history(&self, run: RunId) -> Result<Vec<Event>, Error> {
        let rows = self.0.io.run(Shape::Single, ask!(c => read::history(c, run.0).await)).await?;
        rows.iter().map(|row| read::event(row).map_err(corrupt)).collect()
    }

    async fn ends(&self, runs: &[RunId]) -> Result<Vec<(RunId, End)>, Error> {
        let numbers = read::numbers(runs);
        self.0.io.run(Shape::Single, ask!(c => read::ends(c, numbers).await)).await
    }

    async fn command(&self, run: RunId, command: Command) -> Result<Commanded, Error> {
        let asked = Arc::new(AtomicBool::new(false));
        self.0
            .io
            .run(
                Shape::Whole,
                ask!(c => {
                    let again = asked.swap(true, Ordering::AcqRel);
                    control::command(c, run, command, again).await
                }),
            )
            .await
    }

    async fn open_commands(&self, writer: WriterId) -> Result<Vec<(RunId, Command)>, Error> {
        self.0.io.run(Shape::Single, ask!(c => control::open_commands(c, writer.0).await)).await
    }

    async fn terminated(&self, run: RunId) -> Result<(), Error> {
        self.0
            .io
            .run(
                Shape::Single,
                ask!(c => {
                    c.query(sql!("terminated")).bind(run.0).execute(&mut **c).await.map(drop)
                }),
            )
            .await
    }

    async fn list(&self, query: RunQuery) -> Result<Vec<RunSummary>, Error> {
        self.0.io.run(Shape::Single, ask!(c => list::runs(c, query).await)).await
    }

    async fn dead_letters(&self, after: Option<i64>, limit: u32) -> Result<Vec<DeadLetter>, Error> {
        self.0.io.run(Shape::Single, ask!(c => list::dead_letters(c, after, limit).await)).await
    }

    async fn old(&self, after: RunId, before: Timestamp) -> Result<Sweep, Error> {
        self.0.io.run(Shape::Single, ask!(c => control::old(c, after, before).await)).await
    }

    async fn delete(&self, runs: &[RunId]) -> Result<u32, Error> {
        let numbers = read::numbers(runs);
        let deleted: i64 = self
            .0
            .io
            .run(
                Shape::Single,
                ask!(c => {
                    c.query_scalar(sql!("delete")).bind(numbers).fetch_one(&mut **c).await
                }),
            )
            .await?;
        Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
    }

    async fn post(&self, posts: Vec<Post>) -> Result<Vec<Result<(), Undelivered>>, Error> {
        self.0.io.run(Shape::Whole, ask!(c => mail::post_all(c, posts).await)).await
    }

    async fn shown(&self, id: &str) -> Result<Option<crate::model::Shown>, Error> {
        if id.contains('\0') {
            return Ok(None);
        }
        let id = id.to_owned();
        self.0.io.run(Shape::Single, ask!(c => mail::shown(c, id).await)).await
    }

    async fn reply(&self, message: &str) -> Result<Option<Arc<str>>, Error> {
        let message = message.to_owned();
        self.0.io.run(Shape::Single, ask!(c => reply::read(c, message).await)).await
    }

    async fn reply_read(&self, message: &str) -> Result<(), Error> {
        let message = message.to_owned();
        self.0.io.run(Shape::Single, ask!(c => reply::forget(c, message).await)).await
    }

    async fn news(&self, writer: WriterId) -> Result<AllNews, Error> {
        let is_news = self.0.io.run(Shape::Single, ask!(c => mail::is_news(c, writer).await));
        // Mostly there is none, and nothing has to be written.
        if !is_news.await? {
            return Ok(AllNews::default());
        }
        self.0.io.run(Shape::Whole, ask!(c => mail::news(c, writer).await)).await
    }

    async fn backup(&self, _to: &Path) -> Result<(), Error> {
        let message = "a Postgres database has its own backups: `pg_basebackup`, `pg_dump`";
        Err(Error::new(ErrorKind::Configuration, message))
    }

    async fn changed(&self) -> Result<bool, Error> {
        let kind = if self.0.worker { Kind::Work } else { Kind::Ends };
        Ok(self.0.news.has_come(kind))
    }

    async fn close(&self) {
        self.0.lanes.close().await;
        self.0.remove_lanes().await;
        self.0.io.close();
    }
}
