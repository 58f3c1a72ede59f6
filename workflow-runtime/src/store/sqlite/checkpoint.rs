//! Moves what was committed from the log into the database, beside the writer:
//! no commit waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use super::{Inner, blocking, lock, open, unavailable};
use crate::error::Error;

/// Pages that are in the log alone before they are moved.
const MANY: i64 = 1000;

/// Pages in the log before the writer itself moves what is left: under a load
/// that never pauses the log begins anew only so.
pub(super) const MOST: u32 = 8000;

/// The connection that moves, and whether it does.
#[derive(Default)]
pub(super) struct Checkpointer {
    connection: std::sync::Mutex<Option<Connection>>,
    works: AtomicBool,
}

/// Whether it is time. Never an error: the commit before it is durable.
pub(super) fn is_due(connection: &Connection) -> bool {
    let pages = connection.prepare_cached("pragma wal_checkpoint(noop)").and_then(|mut noop| {
        noop.query_row([], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))
    });
    pages.is_ok_and(|(written, moved)| written - moved >= MANY)
}

impl Inner {
    /// Begins a checkpoint, if none is under way.
    pub(super) fn begin_checkpoint(self: &Arc<Self>) {
        if self.checkpointer.works.swap(true, Ordering::AcqRel) {
            return;
        }
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            let moving = Arc::clone(&inner);
            if let Err(error) = blocking(move || moving.checkpoint()).await {
                // What is in the log is safe there; the next one tries again.
                tracing::debug!("no checkpoint: {error}");
            }
            inner.checkpointer.works.store(false, Ordering::Release);
        });
    }

    fn checkpoint(&self) -> Result<(), Error> {
        let mut own = lock(&self.checkpointer.connection);
        self.check_open()?;
        let connection = match own.take() {
            Some(connection) => connection,
            None => open::reader(&self.options)?,
        };
        // After a fault it is opened anew.
        connection
            .query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()))
            .map_err(unavailable)?;
        *own = Some(connection);
        Ok(())
    }

    /// Waits for the one under way; there is none after it.
    pub(super) fn end_checkpoints(&self) {
        drop(lock(&self.checkpointer.connection).take());
    }
}
