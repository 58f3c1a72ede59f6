//! A database of a test's own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A file for one test, removed with what SQLite puts beside it.
pub(super) struct TempFile(PathBuf);

impl TempFile {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("workflow-test-{}-{number}.db", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let name = self.0.to_string_lossy().into_owned();
        for file in ["", "-wal", "-shm", ".lock"].map(|more| format!("{name}{more}")) {
            // What is not there need not be removed.
            let _gone = std::fs::remove_file(file);
        }
    }
}
