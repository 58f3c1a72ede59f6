//! Histories in files: what a build wrote, replayed by every later one.

use std::path::Path;

use super::drive::settings;
use super::explore::Config;
use super::report::fail;
#[cfg(feature = "sanitize")]
use super::sanitize::Replays;
use super::verify::{replay, replay_apart};
use crate::model::{Event, HistoryFile, RunRecord, StoredRun};
use crate::registry::Registry;

/// A recorded history, ready to be replayed as often as one likes.
#[derive(Debug)]
pub struct Recorded {
    pub(super) record: RunRecord,
    pub(super) history: Vec<Event>,
    pub(super) registry: Registry,
}

impl Recorded {
    /// Reads the text of a history file.
    ///
    /// # Errors
    ///
    /// It is none, or one of another format.
    pub fn read(text: &str) -> Result<Self, String> {
        let (record, history) = HistoryFile::read(text)?.into_parts()?;
        let registry = Registry::new(&[]).map_err(|error| error.to_string())?;
        Ok(Self { record, history, registry })
    }

    pub(super) fn of(stored: StoredRun) -> Result<Self, String> {
        let registry = Registry::new(&[]).map_err(|error| error.to_string())?;
        Ok(Self { record: stored.record, history: stored.history, registry })
    }

    /// The text of its history file.
    ///
    /// # Errors
    ///
    /// A stored value is no JSON.
    pub fn to_text(&self) -> Result<String, String> {
        let (record, history) = (self.record.clone(), self.history.clone());
        let stored = StoredRun::read_back(record, history);
        HistoryFile::of(&stored)?.to_text()
    }

    /// Replays what a crash after each of its events leaves, from none to all:
    /// what a recovery does. Gives how many replays these were.
    ///
    /// # Errors
    ///
    /// Where the code does not do again what was recorded.
    pub fn replay_crash_states(&self) -> Result<u32, String> {
        let open = RunRecord { end: None, ..self.record.clone() };
        let ends = usize::from(self.record.end.is_some());
        let limits = settings("").limits;
        #[cfg(feature = "sanitize")]
        let watched = Replays::of(&self.record);
        let mut replays = 0;
        for events in 0..=self.history.len().saturating_sub(ends) {
            let history = self.history.get(..events).unwrap_or_default();
            replay(&self.registry, &open, history, limits)?;
            replays += 1;
        }
        #[cfg(feature = "sanitize")]
        watched.end()?;
        if ends > 0 {
            self.replay()?;
            replays += 1;
        }
        Ok(replays)
    }

    /// Replays it with the code of this program. Starts nothing.
    ///
    /// # Errors
    ///
    /// Where the code does not do again what was recorded.
    pub fn replay(&self) -> Result<(), String> {
        #[cfg(feature = "sanitize")]
        let watched = Replays::of(&self.record);
        replay(&self.registry, &self.record, &self.history, settings("").limits)?;
        #[cfg(feature = "sanitize")]
        watched.end()?;
        Ok(())
    }
}

/// Replays a history file, twice, on a fresh thread. Called by the tests that
/// [`replay_tests!`](crate::testing::replay_tests) makes.
///
/// # Panics
///
/// The code of this program does not do again what was recorded.
pub fn replay_file(path: &str, text: &str) {
    crate::panics::install();
    let refuse = |error: String| -> ! {
        fail(&format!(
            "{path} does not replay: {error}\n  A run that was begun by the build that wrote this \
             file cannot go on with this code. If no such run is left, write it again: \
             WORKFLOW_BLESS=1 cargo test"
        ))
    };
    let parts = HistoryFile::read(text).and_then(HistoryFile::into_parts);
    let (record, history) = parts.unwrap_or_else(|error| refuse(error));
    #[cfg(feature = "sanitize")]
    let watched = Replays::of(&record);
    replay_apart(record, history, settings("").limits).unwrap_or_else(|error| refuse(error));
    #[cfg(feature = "sanitize")]
    watched.end().unwrap_or_else(|error| fail(&format!("{path}: {error}")));
}

/// Replays the history files of a folder that are not among `known`. Called by
/// the test that [`replay_tests!`](crate::testing::replay_tests) makes for files
/// that were written after it was compiled.
///
/// # Panics
///
/// The code of this program does not do again what was recorded.
pub fn replay_new_files(folder: &str, known: &[&str]) {
    // A folder that is not there has no files.
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let is_history = path.extension().is_some_and(|extension| extension == "json");
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !is_history || known.contains(&&*name) {
            continue;
        }
        let shown = path.to_string_lossy();
        match std::fs::read_to_string(&path) {
            Ok(text) => replay_file(&shown, &text),
            Err(error) => fail(&format!("{shown}: {error}")),
        }
    }
}

/// Writes the histories of a test, unless they are there.
pub(super) fn write(config: &Config, name: &str, stored: &[StoredRun]) {
    let bless = std::env::var_os("WORKFLOW_BLESS").is_some();
    let folder = Path::new(config.folder).join("tests/histories");
    for (number, stored) in (1..).zip(stored) {
        let file =
            if number == 1 { format!("{name}.json") } else { format!("{name}-{number}.json") };
        let path = folder.join(file);
        if path.exists() && !bless {
            continue;
        }
        if let Err(error) = write_one(&path, stored) {
            fail(&format!("the history {} is not written: {error}", path.display()));
        }
    }
}

fn write_one(path: &Path, stored: &StoredRun) -> Result<(), String> {
    let mut text = Recorded::of(stored.clone())?.to_text()?;
    text.push('\n');
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    // Renamed into its place: another test may be reading the folder.
    let half = path.with_extension("half");
    let written = folder.and_then(|()| std::fs::write(&half, text));
    written.and_then(|()| std::fs::rename(&half, path)).map_err(|error| error.to_string())
}
