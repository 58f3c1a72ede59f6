//! The store in one SQLite file: embedded, durable, one owner. Other processes
//! may open it beside the owner, as clients.

mod control;
mod list;
mod mail;
mod open;
mod owner;
mod places;
mod read;
mod reply;
#[cfg(test)]
mod tests;
mod write;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::Semaphore;

use super::{Counter, Damage, Loaded, Store, Sweep, TakeOver, reason_of, refusal};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::model::{
    AllNews, Answer, Command, Commanded, DeadLetter, End, Event, Item, Post, RunId, RunQuery,
    RunRecord, RunSummary, Undelivered, WriterId,
};
use owner::Owner;
use places::Places;

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/query/", $name, ".sql"))
    };
}

/// How to open a file.
#[derive(Clone, Debug)]
pub(crate) struct SqliteOptions {
    pub(crate) path: PathBuf,
    /// `synchronous=FULL`: an acknowledged commit survives power loss.
    pub(crate) full: bool,
    /// Runs workflows: no other process may.
    pub(crate) owner: bool,
    /// Reads, and leaves the file as it is.
    pub(crate) read_only: bool,
}

/// Keeps runs in one SQLite file.
pub(crate) struct SqliteStore(Arc<Inner>);

struct Inner {
    options: SqliteOptions,
    writer: Mutex<Writer>,
    readers: Mutex<Vec<Connection>>,
    /// Reads at one time.
    reading: Semaphore,
    closed: AtomicBool,
    /// Held until the store is closed.
    owner: Mutex<Option<Owner>>,
}

/// The one connection that writes. None after a fault: it is opened anew.
#[derive(Default)]
struct Writer {
    connection: Option<Connection>,
    /// The disk did not take what it was given.
    unsettled: bool,
    /// What SQLite said last, on this connection, of changes by others.
    version: Option<i64>,
    places: Places,
}

/// Connections that read, at most.
const READERS: usize = 4;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SqliteStore {
    /// Opens the file, creates it if it is not there, and brings its schema up
    /// to date.
    pub(crate) async fn open(options: SqliteOptions) -> Result<Self, Error> {
        blocking(move || {
            open::check_file_system(&options.path)?;
            let owner = if options.owner { Some(Owner::of(&options.path)?) } else { None };
            open::check_version()?;
            let connection = if options.read_only {
                open::as_it_is(&options)?
            } else {
                let mut connection = open::writer(&options)?;
                open::migrate(&mut connection, &options.path)?;
                connection
            };
            let writer = Writer { connection: Some(connection), ..Writer::default() };
            Ok(Self(Arc::new(Inner {
                options,
                writer: Mutex::new(writer),
                readers: Mutex::default(),
                reading: Semaphore::new(READERS),
                closed: AtomicBool::new(false),
                owner: Mutex::new(owner),
            })))
        })
        .await
    }

    /// Runs `body` on the writing connection, off the async threads.
    async fn write<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.0);
        blocking(move || inner.write(body)).await
    }

    /// Runs `body` on a reading connection, off the async threads.
    async fn read<T: Send + 'static>(
        &self,
        body: impl FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = self.0.reading.acquire().await.map_err(|_| closed())?;
        let inner = Arc::clone(&self.0);
        let done = blocking(move || inner.read(body)).await;
        drop(permit);
        done
    }
}

impl Inner {
    fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) { Err(closed()) } else { Ok(()) }
    }

    fn commit(&self, items: &[Item]) -> Result<Vec<Answer>, Error> {
        self.with_writer(|connection, places| write::commit(connection, places, items))
    }

    fn write<T>(
        &self,
        body: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.with_writer(|connection, places| {
            places.forget();
            body(connection)
        })
    }

    fn with_writer<T>(
        &self,
        body: impl FnOnce(&mut Connection, &mut Places) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let mut writer = lock(&self.writer);
        let mut connection = self.take_connection(&mut writer)?;
        let mut places = std::mem::take(&mut writer.places);
        match body(&mut connection, &mut places) {
            Ok(value) => {
                writer.connection = Some(connection);
                writer.places = places;
                Ok(value)
            }
            Err(error) => {
                // The connection is closed: a transaction may be open.
                writer.unsettled |= error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure);
                Err(unavailable(error))
            }
        }
    }

    /// The writing connection, opened anew after a fault. Whoever takes it
    /// puts it back when all went well.
    fn take_connection(&self, writer: &mut Writer) -> Result<Connection, Error> {
        self.check_open()?;
        if let Some(connection) = writer.connection.take() {
            return Ok(connection);
        }
        if writer.unsettled {
            lock(&self.readers).clear();
        }
        let connection = open::writer(&self.options)?;
        // The versions of two connections cannot be compared.
        writer.version = None;
        writer.places = Places::default();
        if writer.unsettled {
            match open::settle(&connection) {
                Ok(true) => writer.unsettled = false,
                Ok(false) => {
                    let message = "the disk did not take what it was given, and somebody reads";
                    return Err(Error::new(ErrorKind::Unavailable, message));
                }
                Err(error) => return Err(unavailable(error)),
            }
        }
        Ok(connection)
    }

    fn read<T>(&self, body: impl FnOnce(&mut Connection) -> Result<T, Error>) -> Result<T, Error> {
        self.check_open()?;
        let idle = lock(&self.readers).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => open::reader(&self.options)?,
        };
        let value = body(&mut connection)?;
        if self.check_open().is_ok() {
            lock(&self.readers).push(connection);
        }
        Ok(value)
    }
}

/// Runs what waits for a disk off the async threads.
async fn blocking<T: Send + 'static>(
    body: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(body).await {
        Ok(done) => done,
        Err(error) => {
            let message = "the database was not asked: the program stops";
            Err(Error::because(ErrorKind::Unavailable, message, error))
        }
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::ShutDown, "the store was closed")
}

fn unavailable(error: rusqlite::Error) -> Error {
    Error::because(ErrorKind::Unavailable, "the database did not answer", error)
}

#[async_trait]
impl Store for SqliteStore {
    /// Blocks its thread for as long as the disk takes: a hop to another thread
    /// and back would cost every commit.
    async fn commit(&self, items: &[Item]) -> Result<Vec<Answer>, Error> {
        self.0.commit(items)
    }

    async fn reserve(&self, counter: Counter, count: u32) -> Result<i64, Error> {
        let name = match counter {
            Counter::Runs => "runs",
            Counter::Writers => "writers",
        };
        self.write(move |connection| {
            connection.query_row(sql!("reserve"), (name, count), |row| row.get(0))
        })
        .await
    }

    async fn take_over(&self, over: TakeOver) -> Result<(), Error> {
        self.write(move |connection| control::take_over(connection, &over)).await
    }

    async fn claim(
        &self,
        writer: WriterId,
        now: Timestamp,
        limit: u32,
        claims: RangeInclusive<u32>,
    ) -> Result<Vec<RunId>, Error> {
        self.write(move |connection| control::claim(connection, writer, now, limit, &claims)).await
    }

    async fn suspected(&self, runs: &[RunId]) -> Result<Vec<RunId>, Error> {
        let runs = read::list(runs);
        self.read(move |connection| {
            read::numbers(connection, sql!("suspected"), [runs]).map_err(unavailable)
        })
        .await
    }

    async fn vindicate(&self, runs: &[RunId]) -> Result<(), Error> {
        let runs = read::list(runs);
        self.write(move |connection| connection.execute(sql!("vindicate"), [runs]).map(drop)).await
    }

    async fn owned(&self, writer: WriterId) -> Result<Vec<RunId>, Error> {
        self.read(move |connection| {
            read::numbers(connection, sql!("owned"), [writer.0]).map_err(unavailable)
        })
        .await
    }

    async fn load(&self, runs: &[RunId]) -> Result<Vec<(RunId, Loaded)>, Error> {
        let runs = runs.to_vec();
        self.read(move |connection| read::load(connection, &runs)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        self.read(|connection| {
            let due = connection.query_row(sql!("next_due"), [], |row| row.get(0));
            let due: Option<i64> = due.map_err(unavailable)?;
            Ok(due.map(Timestamp::from_millis))
        })
        .await
    }

    async fn release(&self, writer: WriterId, now: Timestamp) -> Result<(), Error> {
        let release = [writer.0, now.as_millis()];
        self.write(move |connection| connection.execute(sql!("release"), release).map(drop)).await
    }

    async fn find(&self, id: &str) -> Result<Option<RunRecord>, Error> {
        let id = id.to_owned();
        self.read(move |connection| read::find(connection, &id)).await
    }

    async fn find_first(&self, id: &str) -> Result<Option<RunRecord>, Error> {
        let id = id.to_owned();
        self.read(move |connection| read::find_first(connection, &id)).await
    }

    async fn history(&self, run: RunId) -> Result<Vec<Event>, Error> {
        self.read(move |connection| read::history(connection, run)).await
    }

    async fn ends(&self, runs: &[RunId]) -> Result<Vec<(RunId, End)>, Error> {
        let runs = runs.to_vec();
        self.read(move |connection| read::ends(connection, &runs).map_err(unavailable)).await
    }

    async fn command(&self, run: RunId, command: Command) -> Result<Commanded, Error> {
        self.write(move |connection| control::command(connection, run, &command)).await
    }

    async fn open_commands(&self, writer: WriterId) -> Result<Vec<(RunId, Command)>, Error> {
        self.read(move |connection| control::open_commands(connection, writer).map_err(unavailable))
            .await
    }

    async fn terminated(&self, run: RunId) -> Result<(), Error> {
        self.write(move |connection| connection.execute(sql!("terminated"), [run.0]).map(drop))
            .await
    }

    async fn list(&self, query: RunQuery) -> Result<Vec<RunSummary>, Error> {
        self.read(move |connection| list::runs(connection, &query).map_err(unavailable)).await
    }

    async fn dead_letters(&self, after: Option<i64>, limit: u32) -> Result<Vec<DeadLetter>, Error> {
        self.read(move |connection| {
            list::dead_letters(connection, after, limit).map_err(unavailable)
        })
        .await
    }

    async fn old(&self, after: RunId, before: Timestamp) -> Result<Sweep, Error> {
        self.read(move |connection| control::old(connection, after, before).map_err(unavailable))
            .await
    }

    async fn delete(&self, runs: &[RunId]) -> Result<u32, Error> {
        let runs = runs.to_vec();
        self.write(move |connection| control::delete(connection, &runs)).await
    }

    async fn post(&self, posts: Vec<Post>) -> Result<Vec<Result<(), Undelivered>>, Error> {
        self.write(move |connection| mail::post_all(connection, &posts)).await
    }

    async fn shown(&self, id: &str) -> Result<Option<crate::model::Shown>, Error> {
        let id = id.to_owned();
        self.read(move |connection| mail::shown(connection, &id).map_err(unavailable)).await
    }

    async fn reply(&self, message: &str) -> Result<Option<Arc<str>>, Error> {
        let message = message.to_owned();
        self.read(move |connection| reply::read(connection, &message).map_err(unavailable)).await
    }

    async fn reply_read(&self, message: &str) -> Result<(), Error> {
        let message = message.to_owned();
        self.write(move |connection| reply::forget(connection, &message)).await
    }

    async fn news(&self, writer: WriterId) -> Result<AllNews, Error> {
        let is_news = move |connection: &mut Connection| {
            mail::is_news(connection, writer).map_err(unavailable)
        };
        // Mostly there is none, and nothing has to be written.
        if !self.read(is_news).await? {
            return Ok(AllNews::default());
        }
        self.write(move |connection| mail::news(connection, writer)).await
    }

    async fn backup(&self, to: &Path) -> Result<(), Error> {
        let to = to.to_owned();
        self.read(move |connection| open::back_up(connection, &to)).await
    }

    async fn changed(&self) -> Result<bool, Error> {
        let inner = Arc::clone(&self.0);
        blocking(move || inner.changed()).await
    }

    async fn close(&self) {
        let inner = Arc::clone(&self.0);
        let closed = blocking(move || {
            inner.close();
            Ok(())
        });
        if let Err(error) = closed.await {
            tracing::warn!("the database was not closed: {error}");
        }
    }
}

impl Inner {
    /// Whether another process wrote since this was asked last.
    fn changed(&self) -> Result<bool, Error> {
        let mut writer = lock(&self.writer);
        let connection = self.take_connection(&mut writer)?;
        let version = connection.pragma_query_value(None, "data_version", |row| row.get(0));
        let version: i64 = version.map_err(unavailable)?;
        writer.connection = Some(connection);
        Ok(writer.version.replace(version) != Some(version))
    }

    fn close(&self) {
        let mut writer = lock(&self.writer);
        self.closed.store(true, Ordering::Release);
        self.reading.close();
        lock(&self.readers).clear();
        if let Some(connection) = writer.connection.take()
            && let Err((_, error)) = connection.close()
        {
            tracing::warn!("the database was not closed cleanly: {error}");
        }
        // The last thing: the next owner finds the file closed.
        drop(lock(&self.owner).take());
    }
}
