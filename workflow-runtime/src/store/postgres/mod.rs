//! The store in Postgres: any number of workers on any number of machines.
//!
//! A process has two connections that commit, one that listens, and two for
//! everything else.

mod batch;
mod control;
mod fault;
mod fleet;
mod io;
mod list;
mod news;
mod open;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use super::{Counter, Fleet, Loaded, Store, Sweep, TakeOver};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::model::{
    Answer, Command, Commanded, DeadLetter, End, Event, Item, RunId, RunQuery, RunRecord,
    RunSummary, WriterId,
};
use io::Io;
use news::{Kind, News};
use write::{LANES, Lanes};

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/query/", $name, ".postgres.sql"))
    };
}

/// How long the database has to answer.
const PATIENCE: Duration = Duration::from_secs(30);

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
    /// Writers whose lanes are there.
    writers: Mutex<BTreeSet<WriterId>>,
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
        let connect = open::options(&options.url, &options.schema)?;
        let io = Io::start(connect.clone())?;
        let (news, schema) = (News::new(&options.schema), options.schema);
        io.run(move |pool| open::migrate(pool, schema)).await??;
        io.spawn(|pool| Arc::clone(&news).send(pool));
        io.spawn(|pool| Arc::clone(&news).listen(pool));
        let claimant = Claimant { build: Arc::default(), workflows: None };
        Ok(Self(Arc::new(Inner {
            io,
            lanes: Lanes::new(connect),
            claimant: Mutex::new(Arc::new(claimant)),
            news,
            worker: options.worker,
            writers: Mutex::default(),
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
        if lock(&self.writers).contains(&writer) {
            return Ok(());
        }
        let lanes: Vec<i16> = (-1..).take(LANES + 1).collect();
        self.io
            .run(move |pool| async move {
                let join = sqlx::query(sql!("join_lanes")).bind(writer.0).bind(lanes);
                join.execute(&pool).await.map(drop)
            })
            .await?;
        lock(&self.writers).insert(writer);
        Ok(())
    }
}

impl Inner {
    /// A worker's lanes stay, fenced, as long as its row; a client has none.
    async fn remove_lanes(&self) {
        let writers: Vec<i64> = match self.worker {
            true => Vec::new(),
            false => lock(&self.writers).iter().map(|writer| writer.0).collect(),
        };
        if writers.is_empty() {
            return;
        }
        let left = self.io.run(move |pool| async move {
            sqlx::query(sql!("leave_lanes")).bind(writers).execute(&pool).await.map(drop)
        });
        if let Err(error) = left.await {
            tracing::debug!("what a client leaves stays: {error}");
        }
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
            answers.extend(self.0.lanes.commit(first.writer, of_writer).await?);
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
        let name = match counter {
            Counter::Runs => "runs",
            Counter::Writers => "writers",
        };
        self.0
            .io
            .run(move |pool| async move {
                let reserve = sqlx::query_scalar(sql!("reserve")).bind(name).bind(i64::from(count));
                reserve.fetch_one(&pool).await
            })
            .await
    }

    async fn take_over(&self, over: TakeOver) -> Result<(), Error> {
        self.0.io.run(move |pool| control::take_over(pool, over)).await
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
        self.0.io.run(move |pool| control::claim(pool, writer, now, limit, claims, by)).await
    }

    async fn suspected(&self, runs: &[RunId]) -> Result<Vec<RunId>, Error> {
        let numbers = read::numbers(runs);
        let suspected = self.0.io.run(move |pool| async move {
            sqlx::query_scalar(sql!("suspected")).bind(numbers).fetch_all(&pool).await
        });
        suspected.await.map(read::runs)
    }

    async fn vindicate(&self, runs: &[RunId]) -> Result<(), Error> {
        let numbers = read::numbers(runs);
        self.0
            .io
            .run(move |pool| async move {
                sqlx::query(sql!("vindicate")).bind(numbers).execute(&pool).await.map(drop)
            })
            .await
    }

    async fn owned(&self, writer: WriterId) -> Result<Vec<RunId>, Error> {
        let owned = self.0.io.run(move |pool| async move {
            let text = shared(include_str!("../../../sql/query/owned.sql"));
            sqlx::query_scalar(text).bind(writer.0).fetch_all(&pool).await
        });
        owned.await.map(read::runs)
    }

    async fn load(&self, runs: &[RunId]) -> Result<Vec<(RunId, Loaded)>, Error> {
        let numbers = read::numbers(runs);
        self.0.io.run(move |pool| read::load(pool, numbers)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        let by = self.0.claimant();
        let due: Option<i64> = self
            .0
            .io
            .run(move |pool| async move {
                let due = sqlx::query_scalar(sql!("next_due")).bind(by.workflows.clone());
                due.bind(by.build.to_string()).fetch_optional(&pool).await
            })
            .await?;
        Ok(due.map(Timestamp::from_millis))
    }

    async fn release(&self, writer: WriterId, now: Timestamp) -> Result<(), Error> {
        self.0
            .io
            .run(move |pool| async move {
                let release = sqlx::query(sql!("release")).bind(writer.0).bind(now.as_millis());
                release.execute(&pool).await.map(drop)
            })
            .await
    }

    async fn find(&self, id: &str) -> Result<Option<RunRecord>, Error> {
        if id.contains('\0') {
            return Ok(None);
        }
        let (id, text) = (id.to_owned(), shared(include_str!("../../../sql/query/find.sql")));
        let found = self
            .0
            .io
            .run(move |pool| async move { sqlx::query(text).bind(id).fetch_optional(&pool).await });
        let record = found.await?.map(|row| read::record(&row));
        record.transpose().map_err(|error| corrupt(error.to_string()))
    }

    async fn history(&self, run: RunId) -> Result<Vec<Event>, Error> {
        let rows = self.0.io.run(move |pool| read::history(pool, run.0)).await?;
        rows.iter().map(|row| read::event(row).map_err(corrupt)).collect()
    }

    async fn ends(&self, runs: &[RunId]) -> Result<Vec<(RunId, End)>, Error> {
        let numbers = read::numbers(runs);
        self.0.io.run(move |pool| read::ends(pool, numbers)).await
    }

    async fn command(&self, run: RunId, command: Command) -> Result<Commanded, Error> {
        self.0.io.run(move |pool| control::command(pool, run, command)).await
    }

    async fn open_commands(&self, writer: WriterId) -> Result<Vec<(RunId, Command)>, Error> {
        self.0.io.run(move |pool| control::open_commands(pool, writer.0)).await
    }

    async fn terminated(&self, run: RunId) -> Result<(), Error> {
        self.0
            .io
            .run(move |pool| async move {
                sqlx::query(sql!("terminated")).bind(run.0).execute(&pool).await.map(drop)
            })
            .await
    }

    async fn list(&self, query: RunQuery) -> Result<Vec<RunSummary>, Error> {
        self.0.io.run(move |pool| list::runs(pool, query)).await
    }

    async fn dead_letters(&self, after: Option<i64>, limit: u32) -> Result<Vec<DeadLetter>, Error> {
        self.0.io.run(move |pool| list::dead_letters(pool, after, limit)).await
    }

    async fn old(&self, after: RunId, before: Timestamp) -> Result<Sweep, Error> {
        self.0.io.run(move |pool| control::old(pool, after, before)).await
    }

    async fn delete(&self, runs: &[RunId]) -> Result<u32, Error> {
        let numbers = read::numbers(runs);
        let deleted: i64 = self
            .0
            .io
            .run(move |pool| async move {
                sqlx::query_scalar(sql!("delete")).bind(numbers).fetch_one(&pool).await
            })
            .await?;
        Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
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
        self.0.io.close().await;
    }
}
