//! The store in one SQLite file: embedded, durable, one owner.

mod batch;
mod open;
mod owner;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::path::PathBuf;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use tokio::sync::Mutex;

use super::{Counter, Damage, Loaded, Store, refusal};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::model::{Answer, Event, Item, RunId, RunRecord, WriterId};
use batch::Texts;
use owner::Owner;

/// How to open a file.
#[derive(Clone, Debug)]
pub(crate) struct SqliteOptions {
    pub(crate) path: PathBuf,
    /// `synchronous=FULL`: an acknowledged commit survives power loss.
    pub(crate) full: bool,
}

/// Keeps runs in one SQLite file.
pub(crate) struct SqliteStore {
    options: SqliteOptions,
    writer: Mutex<Writer>,
    readers: SqlitePool,
    /// Held until the store is closed.
    owner: Mutex<Option<Owner>>,
}

/// The one connection that writes. None after a fault: it is opened anew.
struct Writer {
    connection: Option<SqliteConnection>,
    texts: Texts,
}

impl SqliteStore {
    /// Opens the file as its one owner, creates it if it is not there, and
    /// brings its schema up to date.
    pub(crate) async fn open(options: SqliteOptions) -> Result<Self, Error> {
        let owner = Owner::of(&options.path)?;
        let mut connection = open::connect(&options).await?;
        open::check_version(&mut connection).await?;
        open::migrate(&mut connection).await?;
        let readers = open::readers(&options)?;
        let writer = Mutex::new(Writer { connection: Some(connection), texts: Texts::default() });
        Ok(Self { options, writer, readers, owner: Mutex::new(Some(owner)) })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, items: &[Item]) -> Result<Vec<Answer>, Error> {
        let mut writer = self.writer.lock().await;
        let mut connection = self.take_connection(&mut writer).await?;
        let answers = write::commit(&mut connection, &mut writer.texts, items).await;
        // After a fault the connection is closed: a transaction may be open.
        if answers.is_ok() {
            writer.connection = Some(connection);
        }
        answers
    }

    async fn reserve(&self, counter: Counter, count: u32) -> Result<i64, Error> {
        let name = match counter {
            Counter::Runs => "runs",
            Counter::Writers => "writers",
        };
        let text = include_str!("../../../sql/query/reserve.sqlite.sql");
        let query = sqlx::query_scalar(text).bind(name).bind(i64::from(count));
        self.write_one(query).await
    }

    async fn take_over(&self, writer: WriterId, build: &str, now: Timestamp) -> Result<(), Error> {
        let refused = include_str!("../../../sql/query/take_over_refused.sql");
        self.execute(sqlx::query(refused).bind(writer.0).bind(build.to_owned())).await?;
        let others = include_str!("../../../sql/query/take_over.sql");
        let others = sqlx::query(others).bind(writer.0).bind(build.to_owned());
        self.execute(others.bind(now.as_millis())).await
    }

    async fn claim(
        &self,
        writer: WriterId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<RunId>, Error> {
        let text = include_str!("../../../sql/query/claim.sqlite.sql");
        let query = sqlx::query_scalar::<_, i64>(text);
        let query = query.bind(writer.0).bind(now.as_millis()).bind(i64::from(limit));
        let mut held = self.writer.lock().await;
        let mut connection = self.take_connection(&mut held).await?;
        let claimed = query.fetch_all(&mut connection).await.map_err(unavailable)?;
        held.connection = Some(connection);
        Ok(claimed.into_iter().map(RunId).collect())
    }

    async fn owned(&self, writer: WriterId) -> Result<Vec<RunId>, Error> {
        let text = include_str!("../../../sql/query/owned.sql");
        let query = sqlx::query_scalar::<_, i64>(text).bind(writer.0);
        let held = query.fetch_all(&self.readers).await.map_err(unavailable)?;
        Ok(held.into_iter().map(RunId).collect())
    }

    async fn load(&self, runs: &[RunId]) -> Result<Vec<(RunId, Loaded)>, Error> {
        read::load(&self.readers, runs).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        let text = include_str!("../../../sql/query/next_due.sql");
        let query = sqlx::query_scalar::<_, Option<i64>>(text);
        let due = query.fetch_one(&self.readers).await.map_err(unavailable)?;
        Ok(due.map(Timestamp::from_millis))
    }

    async fn release(&self, writer: WriterId, now: Timestamp) -> Result<(), Error> {
        let text = include_str!("../../../sql/query/release.sql");
        self.execute(sqlx::query(text).bind(writer.0).bind(now.as_millis())).await
    }

    async fn find(&self, id: &str) -> Result<Option<RunRecord>, Error> {
        read::find(&self.readers, id).await
    }

    async fn history(&self, run: RunId) -> Result<Vec<Event>, Error> {
        read::history(&self.readers, run).await
    }

    async fn close(&self) {
        self.readers.close().await;
        let connection = self.writer.lock().await.connection.take();
        if let Some(connection) = connection
            && let Err(error) = sqlx::Connection::close(connection).await
        {
            tracing::warn!("the database was not closed cleanly: {error}");
        }
        // The last thing: the next owner finds the file closed.
        drop(self.owner.lock().await.take());
    }
}

type Query = sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;
type Scalar<T> = sqlx::query::QueryScalar<'static, sqlx::Sqlite, T, sqlx::sqlite::SqliteArguments>;

impl SqliteStore {
    /// The writing connection, opened anew after a fault. Whoever takes it
    /// puts it back when all went well.
    async fn take_connection(&self, writer: &mut Writer) -> Result<SqliteConnection, Error> {
        match writer.connection.take() {
            Some(connection) => Ok(connection),
            None if self.owner.lock().await.is_none() => {
                Err(Error::new(ErrorKind::ShutDown, "the store was closed"))
            }
            None => open::connect(&self.options).await,
        }
    }

    async fn execute(&self, query: Query) -> Result<(), Error> {
        let mut writer = self.writer.lock().await;
        let mut connection = self.take_connection(&mut writer).await?;
        query.execute(&mut connection).await.map_err(unavailable)?;
        writer.connection = Some(connection);
        Ok(())
    }

    async fn write_one<T>(&self, query: Scalar<T>) -> Result<T, Error>
    where
        T: Send + Unpin,
        (T,): for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>,
    {
        let mut writer = self.writer.lock().await;
        let mut connection = self.take_connection(&mut writer).await?;
        let value = query.fetch_one(&mut connection).await.map_err(unavailable)?;
        writer.connection = Some(connection);
        Ok(value)
    }
}

fn unavailable(error: sqlx::Error) -> Error {
    if matches!(error, sqlx::Error::PoolClosed) {
        return Error::new(ErrorKind::ShutDown, "the store was closed");
    }
    Error::because(ErrorKind::Unavailable, "the database did not answer", error)
}
