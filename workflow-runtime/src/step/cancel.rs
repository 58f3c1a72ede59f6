//! How a step learns that nobody waits for it any more.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::sync::Notify;

/// Fired once, when nobody waits for the step any more.
#[derive(Debug, Default)]
pub(crate) struct Cancel {
    fired: AtomicBool,
    watched: AtomicBool,
    told: Notify,
}

impl Cancel {
    pub(crate) fn fire(&self) {
        self.fired.store(true, Ordering::Release);
        self.told.notify_waiters();
    }

    pub(crate) fn is_fired(&self) -> bool {
        self.fired.load(Ordering::Acquire)
    }

    /// Whether the step asked to be told.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Acquire)
    }

    async fn wait(&self) {
        loop {
            let told = self.told.notified();
            // `notify_waiters` reaches whoever made the future before it.
            if self.fired.load(Ordering::Acquire) {
                return;
            }
            told.await;
        }
    }
}

/// Ends when nobody waits for the step any more: see
/// [`step::cancelled`](super::cancelled).
#[must_use = "does nothing until it is awaited"]
pub struct Cancelled(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Cancelled {
    pub(super) fn new(cancel: Arc<Cancel>) -> Self {
        cancel.watched.store(true, Ordering::Release);
        Self(Box::pin(async move { cancel.wait().await }))
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cancelled")
    }
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}
