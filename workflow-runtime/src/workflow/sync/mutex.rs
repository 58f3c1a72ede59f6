//! One branch at a time, across awaits.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::{LOCAL, Local};
use crate::durable::{Block, DurableFuture};

/// A lock that a branch may hold across awaits: `tokio::sync::Mutex`. Branches
/// get it in the order in which they asked.
///
/// For what is not held across an await a `Cell` or a `RefCell` is enough: a
/// workflow runs on one thread.
pub struct Mutex<T: ?Sized>(Local, tokio::sync::Mutex<T>);

/// Gives the lock back when it is dropped.
#[must_use = "the lock is given back at once"]
pub struct MutexGuard<'a, T: ?Sized>(tokio::sync::MutexGuard<'a, T>, Local);

/// Another branch has the lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TryLockError(());

impl<T> Mutex<T> {
    /// Nobody holds it yet.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(LOCAL, tokio::sync::Mutex::const_new(value))
    }

    /// What it protects.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.1.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the lock, when no other branch has it.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, the place in the queue is lost.
    pub fn lock(&self) -> impl DurableFuture<Output = MutexGuard<'_, T>> {
        let locked = self.1.lock();
        Block::new(async move { MutexGuard(locked.await, LOCAL) })
    }

    /// Takes the lock, if no other branch has it.
    ///
    /// # Errors
    ///
    /// Another branch has it.
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        match self.1.try_lock() {
            Ok(guard) => Ok(MutexGuard(guard, LOCAL)),
            Err(_) => Err(TryLockError(())),
        }
    }

    /// Without waiting: whoever can write has it for itself.
    pub fn get_mut(&mut self) -> &mut T {
        self.1.get_mut()
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug + ?Sized> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.1.fmt(f)
    }
}

impl<T: fmt::Debug + ?Sized> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl fmt::Display for TryLockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another branch has the lock")
    }
}

impl std::error::Error for TryLockError {}
