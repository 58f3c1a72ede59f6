//! One branch tells another that it may look again.

use super::{LOCAL, Local};
use crate::durable::{Block, DurableFuture};

/// Wakes branches of the same workflow, without a value: `tokio::sync::Notify`.
#[derive(Debug)]
pub struct Notify(tokio::sync::Notify, Local);

impl Notify {
    /// With nothing told yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(tokio::sync::Notify::const_new(), LOCAL)
    }

    /// Waits to be told; at once, if one was told before and nobody waited.
    ///
    /// # Cancel safety
    ///
    /// Dropped, a `notify_one` that it got goes to another branch that waits. Its
    /// place among those that wait is lost.
    pub fn notified(&self) -> impl DurableFuture<Output = ()> {
        Block::new(self.0.notified())
    }

    /// Wakes the branch that has waited longest; if none waits, the next one
    /// that would wait. Several calls while none waits count once.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all branches that wait now, and is not remembered.
    pub fn notify_waiters(&self) {
        self.0.notify_waiters();
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}
