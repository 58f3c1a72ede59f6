//! Opening a file: its settings, its version, its schema.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::{SqliteOptions, unavailable};
use crate::error::{Error, ErrorKind};

/// Each script brings the schema one version further.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../sql/migrations/0001_init.sqlite.sql"),
    include_str!("../../../sql/migrations/0002_engine.sqlite.sql"),
    include_str!("../../../sql/migrations/0003_generations.sqlite.sql"),
    include_str!("../../../sql/migrations/0004_mail.sqlite.sql"),
];

/// How long a lock of another process is waited for.
const BUSY: Duration = Duration::from_secs(10);

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 64;

/// A connection that writes; creates the file if it is not there.
pub(super) fn writer(of: &SqliteOptions) -> Result<Connection, Error> {
    let connection = Connection::open(&of.path).map_err(|error| cannot_open(&of.path, error))?;
    let synchronous = if of.full { "full" } else { "normal" };
    let settings = format!(
        "pragma busy_timeout = {}; pragma journal_mode = wal; pragma synchronous = {synchronous}; \
         pragma cache_size = -16384; {COMMON}",
        BUSY.as_millis()
    );
    prepare(&connection, &settings).map_err(|error| cannot_open(&of.path, error))?;
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn reader(of: &SqliteOptions) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&of.path, flags).map_err(unavailable)?;
    let settings = format!(
        "pragma busy_timeout = {}; pragma cache_size = -2048; {COMMON} pragma query_only = on;",
        BUSY.as_millis()
    );
    prepare(&connection, &settings).map_err(unavailable)?;
    Ok(connection)
}

/// A connection to a file that is there, with the schema of this build.
pub(super) fn as_it_is(of: &SqliteOptions) -> Result<Connection, Error> {
    let refuse = |message: String| Err(Error::new(ErrorKind::Configuration, message));
    if !of.path.exists() {
        return refuse(format!("there is no file {}", of.path.display()));
    }
    let connection = reader(of)?;
    let found: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(unavailable)?;
    match i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX) {
        known if known == found => Ok(connection),
        known => refuse(format!(
            "the database has schema version {found} and this build knows {known}: it is read by \
             a build of its own version only"
        )),
    }
}

/// A damaged file is found rather than believed. (The writer keeps 16 MiB of
/// pages in memory, a reader 2.)
const COMMON: &str =
    "pragma temp_store = memory; pragma trusted_schema = off; pragma cell_size_check = on;";

fn prepare(connection: &Connection, settings: &str) -> rusqlite::Result<()> {
    connection.execute_batch(settings)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

fn cannot_open(path: &Path, error: rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        // Waiting would not help.
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::NotADatabase,
        ) => ErrorKind::Configuration,
        _ => ErrorKind::Unavailable,
    };
    Error::because(kind, format!("cannot open {} for writing", path.display()), error)
}

/// SQLite before 3.51.3 can damage a WAL file that has several connections.
pub(super) fn check_version() -> Result<(), Error> {
    if rusqlite::version_number() < 3_051_003 {
        let version = rusqlite::version();
        return Err(Error::new(
            ErrorKind::Configuration,
            format!("this program is linked to SQLite {version}; 3.51.3 or newer is needed"),
        ));
    }
    Ok(())
}

/// Brings the schema up to date. Several processes may do so at once: one does
/// it, the others wait and find it done. Killed in the middle, nothing is done.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let cannot = |error| cannot_open(path, error);
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let behavior = TransactionBehavior::Immediate;
    let transaction = connection.transaction_with_behavior(behavior).map_err(cannot)?;
    let found: i64 = transaction
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(unavailable)?;
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
        transaction.execute_batch(script).map_err(|error| {
            let message = format!("the schema could not be brought to version {version}");
            Error::because(ErrorKind::Configuration, message, error)
        })?;
    }
    transaction.pragma_update(None, "user_version", known).map_err(cannot)?;
    transaction.commit().map_err(unavailable)
}

/// After a disk did not take what it was given, nothing in memory says what it
/// holds: the log is written into the database, and that to disk, before
/// anything is answered.
pub(super) fn settle(connection: &Connection) -> rusqlite::Result<bool> {
    let busy: i64 =
        connection.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get(0))?;
    Ok(busy == 0)
}

/// Writes a copy of the database as it is at one moment; work goes on
/// meanwhile.
pub(super) fn back_up(connection: &Connection, to: &Path) -> Result<(), Error> {
    let refuse = |message: String| Err(Error::new(ErrorKind::Configuration, message));
    let Some(path) = to.to_str() else {
        return refuse(format!("{} is no text: choose another path", to.display()));
    };
    if to.exists() {
        return refuse(format!("{} is there already: a backup overwrites nothing", to.display()));
    }
    // It writes to the copy only, and counts as writing.
    let copy = connection
        .pragma_update(None, "query_only", false)
        .and_then(|()| connection.execute("vacuum into ?1", [path]));
    let copied = copy.and_then(|_| connection.pragma_update(None, "query_only", true));
    copied.map_err(|error| {
        let message = format!("no backup was written to {path}");
        Error::because(ErrorKind::Unavailable, message, error)
    })
}

/// File systems whose locks and shared memory cannot be relied on.
const NETWORK: &[&str] = &[
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "afs",
    "ceph",
    "lustre",
    "fuse.sshfs",
    "fuse.glusterfs",
];

/// Refuses a file on a network file system: SQLite's log needs memory that all
/// its processes share.
pub(super) fn check_file_system(path: &Path) -> Result<(), Error> {
    // Where there is no such list, nothing is known and nothing refused.
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new(".")).canonicalize();
    let Ok(folder) = folder else { return Ok(()) };
    match file_system(&mounts, &folder).filter(|kind| NETWORK.contains(kind)) {
        None => Ok(()),
        Some(kind) => Err(Error::new(
            ErrorKind::Configuration,
            format!(
                "{} is on a network file system ({kind}), where SQLite loses data: use a local \
                 disk, or Postgres for several machines",
                path.display()
            ),
        )),
    }
}

/// The kind of the file system that holds `folder`: of the longest mount point
/// above it; of several at one point, the last.
fn file_system<'a>(mounts: &'a str, folder: &Path) -> Option<&'a str> {
    let mount = |line: &'a str| {
        let (left, right) = line.split_once(" - ")?;
        let point = left.split(' ').nth(4)?.replace("\\040", " ");
        folder.starts_with(&point).then(|| (point.len(), right.split(' ').next()))
    };
    mounts.lines().filter_map(mount).max_by_key(|(length, _)| *length)?.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_is_that_of_the_nearest_mount() {
        let mounts = "22 1 8:1 / / rw - ext4 /dev/sda rw\n\
                      30 22 0:50 / /srv rw shared:1 - nfs4 host:/srv rw\n\
                      31 30 0:51 / /srv/fast\\040disk rw - xfs /dev/sdb rw\n";
        let of = |folder: &str| file_system(mounts, Path::new(folder));
        assert_eq!(of("/home/me"), Some("ext4"));
        assert_eq!(of("/srv/data"), Some("nfs4"));
        assert_eq!(of("/srv/fast disk/data"), Some("xfs"));
        assert!(NETWORK.contains(&of("/srv").unwrap()));
    }

    #[test]
    fn a_local_folder_is_not_refused() {
        let folder = tempfile::tempdir().unwrap();
        check_file_system(&folder.path().join("test.db")).unwrap();
    }
}
