//! One process owns a file: it holds an operating-system lock on a file beside
//! it. Never on the database itself: closing any descriptor of that drops
//! SQLite's own locks. The lock of a killed process is free at once.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind};

/// The lock, held until dropped.
#[derive(Debug)]
pub(super) struct Owner {
    file: File,
}

impl Drop for Owner {
    /// Unlocks rather than only closing: a child that was forked at this very
    /// moment holds a copy of the descriptor until it executes its program.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!("the lock of the database was not given back: {error}");
        }
    }
}

impl Owner {
    /// Takes the lock of the database at `path`.
    pub(super) fn of(path: &Path) -> Result<Self, Error> {
        let beside = lock_path(&resolved(path));
        let cannot = |error| {
            let message = format!("cannot open the lock file {}", beside.display());
            Error::because(ErrorKind::Configuration, message, error)
        };
        let options = File::options().create(true).truncate(false).write(true).open(&beside);
        let file = options.map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                ErrorKind::Owned,
                format!(
                    "{} has an owner already: another runtime, in this process or another, runs \
                     its workflows. Shut that down first, or use another file",
                    path.display()
                ),
            )),
            Err(TryLockError::Error(error)) => Err(cannot(error)),
        }
    }
}

/// The file itself, whatever links lead to it: one file has one lock.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(file) = path.canonicalize() {
        return file;
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = parent.unwrap_or_else(|| Path::new(".")).canonicalize();
    match (folder, path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        // It cannot be opened either, and that says why.
        _ => path.to_path_buf(),
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".lock");
    path.with_file_name(name)
}
