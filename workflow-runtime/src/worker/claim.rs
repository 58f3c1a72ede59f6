//! Finds open runs that nobody has in hand, and gives them to the threads: at
//! the start everything that another life left, then what becomes due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::message::Message;
use super::{Parts, Shared};
use crate::clock::{Timestamp, within};
use crate::error::Error;
use crate::model::RunId;

/// Runs of one claim.
const CLAIM: u32 = 256;
/// Looked again after so long, whatever was announced.
const POLL: Duration = Duration::from_secs(5);
/// Looked again after so long when the store did not answer.
const RETRY: Duration = Duration::from_millis(200);

pub(super) struct Claimer {
    shared: Arc<Shared>,
    /// The answer to a claim was lost.
    unsure: AtomicBool,
}

impl Claimer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, unsure: AtomicBool::new(false) }
    }

    pub(super) async fn run(self) {
        let mut healthy = true;
        while !self.shared.stop.load(Ordering::Acquire) {
            let wait = match self.look().await {
                Ok(wait) => {
                    healthy = true;
                    wait
                }
                Err(error) => {
                    if std::mem::replace(&mut healthy, false) {
                        tracing::warn!("open runs cannot be read, and wait: {error}");
                    }
                    RETRY
                }
            };
            // A wake-up and the end of the wait mean the same: look again.
            let _either = within(wait, self.shared.claim.notified()).await;
        }
    }

    /// Hands out what is due; returns how long there is nothing to do.
    async fn look(&self) -> Result<Duration, Error> {
        let Parts { store, clock, writer, .. } = &self.shared.parts;
        let mut again = Vec::new();
        self.shared.reload.take(&mut again, Some(Duration::ZERO));
        // One that cannot be read must not hold up the others.
        let reloaded = self.hand_out(&again).await;
        loop {
            let runs = match store.claim(*writer, clock.now(), CLAIM).await {
                Ok(runs) => runs,
                Err(error) => {
                    self.unsure.store(true, Ordering::Release);
                    return Err(error);
                }
            };
            self.hand_out(&runs).await?;
            if runs.len() < CLAIM as usize {
                break;
            }
        }
        if self.unsure.load(Ordering::Acquire) {
            // A claim whose answer was lost: what is in memory already is not
            // taken in again.
            let owned = store.owned(*writer).await?;
            self.unsure.store(false, Ordering::Release);
            self.hand_out(&owned).await?;
        }
        reloaded?;
        let due = store.next_due().await?.unwrap_or(Timestamp::NEVER);
        Ok(due.since(clock.now()).min(POLL))
    }

    async fn hand_out(&self, runs: &[RunId]) -> Result<(), Error> {
        if runs.is_empty() {
            return Ok(());
        }
        let loaded = match self.shared.parts.store.load(runs).await {
            Ok(loaded) => loaded,
            Err(error) => {
                // Claimed and not handed out: read again with the next look.
                self.shared.reload.push_all(&mut runs.to_vec());
                return Err(error);
            }
        };
        for (run, loaded) in loaded {
            let message = match loaded {
                Ok(stored) if stored.record.end.is_some() => continue,
                Ok(stored) => Message::Recover(Box::new(stored)),
                Err(damage) => Message::Damaged(run, damage),
            };
            if let Some(inbox) = self.shared.thread_of(run) {
                // A thread that is gone leaves the run to the next life.
                let _gone = inbox.push(message);
            }
        }
        Ok(())
    }
}
