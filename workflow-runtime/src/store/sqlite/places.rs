//! What the connection that writes need not ask.

use std::collections::BTreeMap;

use crate::model::{Event, RunId};

/// The next places in the histories of open runs, as far as the one connection
/// that writes has filled the places before. True as long as nobody else
/// writes: then it is forgotten.
#[derive(Default)]
pub(super) struct Places {
    /// SQLite's number of the changes by other connections.
    version: Option<i64>,
    next: BTreeMap<RunId, u32>,
}

/// Runs that are remembered, at most.
const MANY: usize = 16_384;

impl Places {
    /// Of a database at that version.
    pub(super) fn at(&mut self, version: i64) {
        if self.version.replace(version) != Some(version) || self.next.len() > MANY {
            self.next.clear();
        }
    }

    pub(super) fn forget(&mut self) {
        self.next.clear();
    }

    /// The run is open, and its history has everything before the event.
    pub(super) fn is_next(&self, run: RunId, event: &Event) -> bool {
        self.next.get(&run) == Some(&event.seq)
    }

    /// An open run has everything up to and with that place; 0: it is new.
    pub(super) fn filled(&mut self, run: RunId, seq: u32) {
        self.next.insert(run, seq + 1);
    }

    pub(super) fn ended(&mut self, run: RunId) {
        self.next.remove(&run);
    }
}
