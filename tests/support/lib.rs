//! What the integration tests share: a folder per test, a ledger of effects,
//! raw SQL to look and to damage.

pub mod chance;
pub mod checker;
pub mod disk;
pub mod mail;
pub mod order;
pub mod proxy;
pub mod schema;
pub mod served;

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tempfile::TempDir;
use workflow_runtime::{Builder, Runtime};

/// A folder with one database; gone with the test.
#[derive(Debug)]
pub struct Place(TempDir);

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// An empty folder.
    ///
    /// # Panics
    ///
    /// If there is no room for one.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test without a folder is over")]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// The path of a file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A runtime on its database, with what the steps of the tests need.
    pub fn runtime(&self) -> Builder {
        runtime(&self.path("test.db"))
    }

    /// A connection beside the runtime's.
    ///
    /// # Panics
    ///
    /// If the database cannot be opened.
    #[expect(clippy::expect_used, reason = "a test without a database is over")]
    pub async fn sql(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path("test.db"));
        options.connect().await.expect("a connection")
    }
}

/// A runtime on that file.
pub fn runtime(path: &Path) -> Builder {
    Runtime::builder(format!("sqlite://{}", path.display()))
}

/// Effects, one per line, in a file that survives its process.
#[derive(Debug)]
pub struct Ledger(File);

impl Ledger {
    /// Opens or creates it.
    ///
    /// # Panics
    ///
    /// If the file cannot be opened.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test without a ledger is over")]
    pub fn open(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Self(file.expect("a ledger"))
    }

    /// An effect happens.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    #[expect(clippy::expect_used, reason = "a test without a ledger is over")]
    pub fn write(&self, line: &str) {
        // One write: a line is there whole or not at all.
        let line = format!("{line}\n");
        (&self.0).write_all(line.as_bytes()).expect("written");
    }
}

/// The lines of a ledger; none if nothing happened.
#[must_use]
pub fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
