//! Run numbers, taken from the store in blocks: a start waits for none.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Counter, Store};
use crate::error::{Error, ErrorKind};
use crate::model::RunId;

/// Numbers of one block. What a process did not use is never used.
const BLOCK: u32 = 4096;

/// Gives run numbers. A block is reserved in a task of its own: a caller that
/// stops polling holds up nobody.
#[derive(Clone)]
pub(crate) struct Numbers(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    block: Mutex<Range<i64>>,
    /// One reserves, the others wait for it.
    reserving: tokio::sync::Mutex<()>,
}

impl Numbers {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let (block, reserving) = (Mutex::new(0..0), tokio::sync::Mutex::new(()));
        Self(Arc::new(Inner { store, block, reserving }))
    }

    /// Some numbers of the block have runs already: the store forgot that it
    /// had given them, and gave them to others too.
    pub(crate) fn discard(&self) {
        *self.0.block() = 0..0;
    }

    /// A number that no run has.
    pub(crate) async fn next(&self) -> Result<RunId, Error> {
        if let Some(number) = self.0.take() {
            return Ok(number);
        }
        let inner = Arc::clone(&self.0);
        let reserved = tokio::spawn(async move { inner.reserve().await }).await;
        reserved.map_err(|error| {
            Error::because(ErrorKind::Unavailable, "no run number was reserved", error)
        })?
    }
}

impl Inner {
    fn block(&self) -> MutexGuard<'_, Range<i64>> {
        self.block.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<RunId> {
        self.block().next().map(RunId)
    }

    async fn reserve(&self) -> Result<RunId, Error> {
        let _one = self.reserving.lock().await;
        if let Some(number) = self.take() {
            return Ok(number);
        }
        let first = self.store.reserve(Counter::Runs, BLOCK).await?;
        *self.block() = first + 1..first + i64::from(BLOCK);
        Ok(RunId(first))
    }
}
