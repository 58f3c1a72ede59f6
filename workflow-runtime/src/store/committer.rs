//! Group commit: takes whatever is queued, commits it as one transaction and
//! answers each item. It never waits to fill a batch: idle, it commits at
//! once; busy, batches grow by themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use super::{Backoff, Store};
use crate::clock::pause;
use crate::error::ErrorKind;
use crate::inbox::Inbox;
use crate::model::{Answer, Item};

/// Most items of one transaction.
const MAX_ITEMS: usize = 2048;
/// Most text of one transaction, in bytes, unless one item alone has more.
const MAX_WEIGHT: usize = 8 << 20;
/// Waits between tries while the store does not answer.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// An item and where its answer goes.
#[derive(Debug)]
pub(crate) struct Envelope<T> {
    pub(crate) item: Item,
    pub(crate) from: T,
}

/// What became of an item.
pub(crate) struct Reply<T> {
    pub(crate) from: T,
    pub(crate) answer: Answer,
    /// To be dropped where it was made: it costs less there, and the committer
    /// has more to do than anybody.
    pub(crate) item: Item,
}

/// Commits what is put into its inbox.
pub(crate) struct Committer<T> {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) inbox: Arc<Inbox<Envelope<T>>>,
    /// Set to give up on a store that does not answer.
    pub(crate) stop: Arc<AtomicBool>,
}

impl<T> Committer<T> {
    /// Runs until the inbox is closed and empty. Gives the answers of each
    /// batch to `deliver`.
    pub(crate) async fn run(self, deliver: impl Fn(Vec<Reply<T>>)) {
        let taker = tokio::sync::Mutex::new(());
        let lanes = (0..self.store.lanes()).map(|_| self.lane(&taker, &deliver));
        let mut lanes: Vec<_> = lanes.map(Box::pin).collect();
        // All of them are one task: the engine's.
        std::future::poll_fn(|cx| {
            lanes.retain_mut(|lane| lane.as_mut().poll(cx).is_pending());
            if lanes.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Takes whatever is queued while no other lane does. A run has one item on
    /// its way at a time: it does not matter which lane takes it.
    async fn lane(&self, taker: &tokio::sync::Mutex<()>, deliver: &impl Fn(Vec<Reply<T>>)) {
        loop {
            let mut rest = Vec::new();
            {
                let _one = taker.lock().await;
                if !self.inbox.take_async(&mut rest).await {
                    return;
                }
            }
            while !rest.is_empty() {
                let later = rest.split_off(batch_len(&rest));
                let (items, from): (Vec<_>, Vec<_>) =
                    rest.into_iter().map(|envelope| (envelope.item, envelope.from)).unzip();
                let Some(answers) = self.commit(&items).await else { return };
                let replies = from.into_iter().zip(answers).zip(items);
                let reply = |((from, answer), item)| Reply { from, answer, item };
                deliver(replies.map(reply).collect());
                rest = later;
            }
        }
    }

    /// Sends the same items until the store answers. None: stopped before.
    async fn commit(&self, items: &[Item]) -> Option<Vec<Answer>> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            match self.store.commit(items).await {
                Ok(answers) => return Some(answers),
                Err(_) if self.stop.load(Ordering::Acquire) => return None,
                // Never again: this worker begins anew, or stops.
                Err(error) if error.kind() == ErrorKind::Fenced => return None,
                Err(_) => pause(backoff.next()).await,
            }
        }
    }
}

/// How many of the first envelopes make one transaction; at least one.
fn batch_len<T>(queue: &[Envelope<T>]) -> usize {
    let mut weight = 0;
    let within = queue.iter().take(MAX_ITEMS).take_while(|envelope| {
        weight += envelope.item.weight();
        weight <= MAX_WEIGHT
    });
    within.count().max(1)
}
