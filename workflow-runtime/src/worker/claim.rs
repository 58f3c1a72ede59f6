//! Finds open runs that nobody has in hand, and gives them to the threads: at
//! the start everything that another life left, then what becomes due, what
//! other processes start, and what people ask of runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::message::Message;
use super::{Parts, Shared};
use crate::clock::{Timestamp, within};
use crate::error::Error;
use crate::model::{CommandKind, RunId};
use crate::store::tell_ends;

/// Runs of one claim.
const CLAIM: usize = 256;
/// Looked again after so long, whatever was announced.
const POLL: Duration = Duration::from_secs(5);
/// Looked again after so long when the store did not answer.
const RETRY: Duration = Duration::from_millis(200);
/// How often is asked whether another process wrote.
const GLANCE: Duration = Duration::from_millis(25);
/// How often is looked whether a suspect got further.
const PROBE: Duration = Duration::from_millis(10);

pub(super) struct Claimer {
    shared: Arc<Shared>,
    /// The answer to a claim was lost.
    unsure: AtomicBool,
    /// The suspect that is being tried, and since when.
    probation: Option<(RunId, Timestamp)>,
}

impl Claimer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, unsure: AtomicBool::new(false), probation: None }
    }

    pub(super) async fn run(mut self) {
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
            self.rest(wait).await;
        }
    }

    /// Waits so long, until something is announced, or until another process
    /// writes.
    async fn rest(&self, wait: Duration) {
        let Parts { store, clock, endings, settings, .. } = &self.shared.parts;
        if settings.exclusive {
            let _either = within(wait, self.shared.claim.notified()).await;
            return;
        }
        let until = clock.now() + wait;
        loop {
            let left = until.since(clock.now());
            let announced = within(left.min(GLANCE), self.shared.claim.notified()).await;
            if announced.is_some() || left <= GLANCE {
                return;
            }
            match store.changed().await {
                Ok(false) => {}
                Ok(true) => {
                    // Another process may have ended what somebody waits for.
                    let _unknown = tell_ends(&**store, endings).await;
                    return;
                }
                // Found out by the next look.
                Err(_) => return,
            }
        }
    }

    /// Hands out what is due; returns how long there is nothing to do.
    async fn look(&mut self) -> Result<Duration, Error> {
        let mut again = Vec::new();
        self.shared.reload.take(&mut again, Some(Duration::ZERO));
        again.iter().for_each(|_| self.shared.run_slots.take_over());
        // One that cannot be read must not hold up the others.
        let reloaded = self.hand_out(&again).await;
        self.commands().await?;
        let all = self.claim().await?;
        self.suspects().await?;
        if self.unsure.load(Ordering::Acquire) {
            self.reconcile().await?;
        }
        reloaded?;
        if self.probation.is_some() {
            return Ok(PROBE);
        }
        if !all {
            // Told when a slot is free.
            return Ok(POLL);
        }
        let Parts { store, clock, settings, .. } = &self.shared.parts;
        let due = store.next_due().await?.unwrap_or(Timestamp::NEVER);
        let wait = due.since(clock.now());
        Ok(if settings.exclusive { wait } else { wait.min(POLL) })
    }

    /// Claims what is due, as far as there are slots. False: some is left.
    async fn claim(&self) -> Result<bool, Error> {
        loop {
            let slots = self.shared.run_slots.take(CLAIM);
            if slots == 0 {
                return Ok(false);
            }
            let runs = self.claim_some(slots, false).await?;
            if runs < slots {
                return Ok(true);
            }
        }
    }

    /// Claims up to as many as slots were taken for it.
    async fn claim_some(&self, slots: usize, suspects: bool) -> Result<usize, Error> {
        let Parts { store, clock, writer, .. } = &self.shared.parts;
        let limit = u32::try_from(slots).unwrap_or(u32::MAX);
        let runs = match store.claim(*writer, clock.now(), limit, suspects).await {
            Ok(runs) => runs,
            Err(error) => {
                self.shared.run_slots.give_back(slots);
                self.unsure.store(true, Ordering::Release);
                return Err(error);
            }
        };
        self.shared.run_slots.give_back(slots.saturating_sub(runs.len()));
        self.hand_out(&runs).await?;
        Ok(runs.len())
    }

    /// Suspects are tried one at a time: of many that were in memory when the
    /// process ended, the one that ended it is found.
    async fn suspects(&mut self) -> Result<(), Error> {
        let Parts { store, clock, writer, settings, .. } = &self.shared.parts;
        if let Some((run, since)) = self.probation {
            let claims = store.claims(run).await?;
            if claims.is_some_and(|claims| claims > 0) {
                if clock.now().since(since) < settings.probation {
                    return Ok(());
                }
                store.vindicate(run).await?;
            }
            self.probation = None;
        }
        if self.shared.run_slots.take(1) == 0 {
            return Ok(());
        }
        let before = clock.now();
        let tried = match store.claim(*writer, before, 1, true).await {
            Ok(tried) => tried,
            Err(error) => {
                self.shared.run_slots.give_back(1);
                self.unsure.store(true, Ordering::Release);
                return Err(error);
            }
        };
        self.shared.run_slots.give_back(1_usize.saturating_sub(tried.len()));
        self.probation = tried.first().map(|run| (*run, before));
        self.hand_out(&tried).await
    }

    /// A claim whose answer was lost: what is in memory already is not taken
    /// in again.
    async fn reconcile(&self) -> Result<(), Error> {
        let Parts { store, writer, .. } = &self.shared.parts;
        let owned = store.owned(*writer).await?;
        self.unsure.store(false, Ordering::Release);
        owned.iter().for_each(|_| self.shared.run_slots.take_over());
        self.hand_out(&owned).await
    }

    /// Brings what was asked of runs to their threads.
    async fn commands(&self) -> Result<(), Error> {
        let Parts { store, writer, .. } = &self.shared.parts;
        for (run, command) in store.open_commands(*writer).await? {
            let kind = command.kind;
            if let Some(inbox) = self.shared.thread_of(run) {
                // A thread that is gone leaves the run to the next life.
                let _gone = inbox.push(Message::Command(run, command));
            }
            if kind == CommandKind::Terminate {
                store.terminated(run).await?;
            }
        }
        Ok(())
    }

    /// Each of `runs` has a slot.
    async fn hand_out(&self, runs: &[RunId]) -> Result<(), Error> {
        if runs.is_empty() {
            return Ok(());
        }
        let loaded = match self.shared.parts.store.load(runs).await {
            Ok(loaded) => loaded,
            Err(error) => {
                // Claimed and not handed out: read again with the next look.
                self.shared.run_slots.give_back(runs.len());
                self.shared.reload.push_all(&mut runs.to_vec());
                return Err(error);
            }
        };
        let (mut unused, writer) = (runs.len(), self.shared.parts.writer);
        for (run, loaded) in loaded {
            let message = match loaded {
                Ok(stored) if stored.record.end.is_some() => {
                    self.tell(run, stored.record.end);
                    continue;
                }
                // It was to be read again and has left meanwhile: it is claimed
                // when it is due.
                Ok(stored) if !stored.record.is_owned_by(writer) => continue,
                Ok(stored) => Message::Recover(Box::new(stored)),
                Err(damage) => Message::Damaged(run, damage),
            };
            // A thread that is gone leaves the run to the next life.
            let handed = self.shared.thread_of(run).map(|inbox| inbox.push(message));
            unused -= usize::from(matches!(handed, Some(Ok(()))));
        }
        self.shared.run_slots.give_back(unused);
        Ok(())
    }

    /// A run that was to be read again has ended meanwhile, by another hand.
    fn tell(&self, run: RunId, end: Option<crate::model::End>) {
        if let Some(end) = end {
            self.shared.parts.endings.tell(run, end);
        }
    }
}
