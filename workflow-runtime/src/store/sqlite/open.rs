//! Opening a file: its settings, its version, its schema.

use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use super::{SqliteOptions, unavailable};
use crate::clock::pause;
use crate::error::{Error, ErrorKind};

/// Each script brings the schema one version further.
const MIGRATIONS: &[&str] = &[include_str!("../../../sql/migrations/0001_init.sqlite.sql")];

/// Connections that read.
const READERS: u32 = 4;

/// How long a lock of another process is waited for.
const BUSY: Duration = Duration::from_secs(10);

/// Between two tries to switch a new file to WAL.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

fn options(options: &SqliteOptions) -> SqliteConnectOptions {
    let synchronous =
        if options.full { SqliteSynchronous::Full } else { SqliteSynchronous::Normal };
    SqliteConnectOptions::new()
        .filename(&options.path)
        .synchronous(synchronous)
        .busy_timeout(BUSY)
        .foreign_keys(false)
        .pragma("cache_size", "-16384")
        .pragma("temp_store", "memory")
        .pragma("trusted_schema", "off")
        .pragma("cell_size_check", "on")
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

/// A connection that writes; creates the file if it is not there.
pub(super) async fn connect(of: &SqliteOptions) -> Result<SqliteConnection, Error> {
    let writing = options(of).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let mut tries = 0;
    loop {
        match writing.connect().await {
            Ok(connection) => return Ok(connection),
            // Switching a new file to WAL does not wait for its lock.
            Err(error) if is_busy(&error) && tries < 100 => {
                tries += 1;
                pause(BUSY_PAUSE).await;
            }
            Err(error) => {
                let message = format!("cannot open {}", of.path.display());
                return Err(Error::because(ErrorKind::Unavailable, message, error));
            }
        }
    }
}

fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<i64>().ok()).is_some_and(|code| code & 0xff == 5)
}

pub(super) fn readers(of: &SqliteOptions) -> Result<SqlitePool, Error> {
    let pool = SqlitePoolOptions::new().max_connections(READERS).test_before_acquire(false);
    Ok(pool.connect_lazy_with(options(of).pragma("query_only", "on")))
}

/// SQLite before 3.51.3 can damage a WAL file that has several connections.
pub(super) async fn check_version(connection: &mut SqliteConnection) -> Result<(), Error> {
    let query = sqlx::query_scalar::<_, String>("select sqlite_version()");
    let version = query.fetch_one(connection).await.map_err(unavailable)?;
    let parts: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    if parts < vec![3, 51, 3] {
        return Err(Error::new(
            ErrorKind::Configuration,
            format!("this program is linked to SQLite {version}; 3.51.3 or newer is needed"),
        ));
    }
    Ok(())
}

/// Brings the schema up to date. Several processes may do so at once: one does
/// it, the others wait and find it done. Killed in the middle, nothing is done.
pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), Error> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let mut transaction = connection.begin_with("begin immediate").await.map_err(unavailable)?;
    let query = sqlx::query_scalar::<_, i64>("pragma user_version");
    let found = query.fetch_one(&mut *transaction).await.map_err(unavailable)?;
    if found > known {
        return Err(Error::new(
            ErrorKind::Configuration,
            format!(
                "the database has schema version {found} and this build knows {known}: a newer \
                 build wrote it. Run that build, or one newer still"
            ),
        ));
    }
    for (script, version) in MIGRATIONS.iter().zip(1..).skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute(*script).await.map_err(|error| {
            let message = format!("the schema could not be brought to version {version}");
            Error::because(ErrorKind::Configuration, message, error)
        })?;
    }
    // A pragma takes no parameter; `known` is a number of ours.
    let done = sqlx::AssertSqlSafe(format!("pragma user_version = {known}"));
    transaction.execute(done).await.map_err(unavailable)?;
    transaction.commit().await.map_err(unavailable)
}
