//! So many branches at a time.

use std::fmt;

use super::{LOCAL, Local};
use crate::durable::{Block, DurableFuture};

/// Permits that the branches of a workflow share: `tokio::sync::Semaphore`.
/// Branches get them in the order in which they asked.
#[derive(Debug)]
pub struct Semaphore(tokio::sync::Semaphore, Local);

/// Gives its permits back when it is dropped.
#[derive(Debug)]
#[must_use = "the permits are given back at once"]
pub struct SemaphorePermit<'a>(tokio::sync::SemaphorePermit<'a>, Local);

/// The semaphore is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AcquireError(());

/// Why there is no permit at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TryAcquireError {
    /// The semaphore is closed.
    Closed,
    /// Other branches have them: wait with `acquire`.
    NoPermits,
}

impl Semaphore {
    /// With that many permits.
    ///
    /// # Panics
    ///
    /// If they are more than `usize::MAX / 8`.
    #[must_use]
    #[track_caller]
    pub const fn new(permits: usize) -> Self {
        Self(tokio::sync::Semaphore::const_new(permits), LOCAL)
    }

    /// Takes a permit, when there is one.
    ///
    /// # Errors
    ///
    /// It is closed, before or while this waits.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, the place in the queue is lost.
    pub fn acquire(
        &self,
    ) -> impl DurableFuture<Output = Result<SemaphorePermit<'_>, AcquireError>> {
        self.acquire_many(1)
    }

    /// Takes that many permits, when there are so many.
    ///
    /// # Errors
    ///
    /// It is closed, before or while this waits.
    ///
    /// # Cancel safety
    ///
    /// As of [`acquire`](Self::acquire).
    pub fn acquire_many(
        &self,
        permits: u32,
    ) -> impl DurableFuture<Output = Result<SemaphorePermit<'_>, AcquireError>> {
        let acquired = self.0.acquire_many(permits);
        Block::new(async move {
            let permit = acquired.await.map_err(|_| AcquireError(()))?;
            Ok(SemaphorePermit(permit, LOCAL))
        })
    }

    /// Takes a permit, if there is one now.
    ///
    /// # Errors
    ///
    /// There is none, or it is closed.
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes that many permits, if there are so many now.
    ///
    /// # Errors
    ///
    /// There are fewer, or it is closed.
    pub fn try_acquire_many(&self, permits: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        match self.0.try_acquire_many(permits) {
            Ok(permit) => Ok(SemaphorePermit(permit, LOCAL)),
            Err(tokio::sync::TryAcquireError::Closed) => Err(TryAcquireError::Closed),
            Err(tokio::sync::TryAcquireError::NoPermits) => Err(TryAcquireError::NoPermits),
        }
    }

    /// How many permits there are now.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.0.available_permits()
    }

    /// Adds permits.
    ///
    /// # Panics
    ///
    /// If they are then more than `usize::MAX / 8`.
    pub fn add_permits(&self, permits: usize) {
        self.0.add_permits(permits);
    }

    /// Gives out no permit any more; those that wait get an error.
    pub fn close(&self) {
        self.0.close();
    }

    /// Whether it is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl SemaphorePermit<'_> {
    /// Never gives the permits back.
    pub fn forget(self) {
        self.0.forget();
    }

    /// How many permits it is.
    #[must_use]
    pub fn num_permits(&self) -> usize {
        self.0.num_permits()
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the semaphore is closed")
    }
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the semaphore is closed",
            Self::NoPermits => "other branches have the permits",
        })
    }
}

impl std::error::Error for AcquireError {}
impl std::error::Error for TryAcquireError {}
