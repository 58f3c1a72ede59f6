//! Run numbers, taken from the store in blocks: a start waits for none.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::{Counter, Store};
use crate::error::{Error, ErrorKind};
use crate::model::RunId;

/// Numbers of one block. What a process did not use is never used.
const BLOCK: u32 = 4096;

/// Gives run numbers.
pub(crate) struct Numbers {
    store: Arc<dyn Store>,
    block: Mutex<std::ops::Range<i64>>,
}

impl Numbers {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, block: Mutex::new(0..0) }
    }

    /// A number that no run has.
    pub(crate) async fn next(&self) -> Result<RunId, Error> {
        let mut block = self.block.lock().await;
        if block.is_empty() {
            // In a task of its own: a caller that stops polling holds up nobody.
            let store = Arc::clone(&self.store);
            let reserved = tokio::spawn(async move { store.reserve(Counter::Runs, BLOCK).await });
            let first = reserved.await.map_err(|error| {
                Error::because(ErrorKind::Unavailable, "no run number was reserved", error)
            })??;
            *block = first..first + i64::from(BLOCK);
        }
        block.start += 1;
        Ok(RunId(block.start - 1))
    }
}
