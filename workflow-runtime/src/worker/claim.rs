//! Finds open runs that nobody has in hand, and gives them to the threads: at
//! the start everything that another life left, then what becomes due, what
//! other processes start, and what people ask of runs.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::message::Message;
use super::{Parts, Shared};
use crate::clock::{Moment, Timestamp, within};
use crate::error::Error;
use crate::model::{CommandKind, RunId, StoredRun};
use crate::store::{SOUND, SUSPECT, tell_ends};

/// Runs of one claim.
const CLAIM: usize = 256;
/// Looked again after so long, whatever was announced.
const POLL: Duration = Duration::from_secs(5);
/// Looked again after so long when the store did not answer.
const RETRY: Duration = Duration::from_millis(200);
/// How often is asked whether another process wrote.
const GLANCE: Duration = Duration::from_millis(25);
/// Looked again after so long while signals wait for runs to be started.
const EARLY: Duration = Duration::from_millis(50);
/// How often is looked whether a suspect got further.
const PROBE: Duration = Duration::from_millis(10);

pub(super) struct Claimer {
    shared: Arc<Shared>,
    /// The answer to a claim was lost.
    unsure: AtomicBool,
    /// When runs were searched for that are in nobody's memory.
    searched: Moment,
    /// This worker's runs then, in order.
    owned: Vec<RunId>,
    /// Suspects that are being tried.
    tried: Option<Tried>,
    /// How many are tried next.
    group: usize,
}

/// Suspects that are being tried, and since when.
struct Tried {
    runs: Vec<RunId>,
    since: Timestamp,
}

/// Most suspects that are tried together.
const GROUP: usize = CLAIM;
/// Most of those that brought down their process once more when they were.
const SMALL_GROUP: usize = 16;

/// Suspects by how often they were claimed, and how many of them are tried
/// together at most. What would be dead next time is tried alone: nobody dies
/// for another.
fn tries(max_claims: u32) -> [(RangeInclusive<u32>, usize); 3] {
    let (last, last_but_one) = (max_claims.saturating_sub(1), max_claims.saturating_sub(2));
    [
        (SUSPECT..=last_but_one.saturating_sub(1), GROUP),
        (last_but_one.max(SUSPECT)..=last_but_one, SMALL_GROUP),
        (last.max(SUSPECT)..=u32::MAX, 1),
    ]
}

impl Claimer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (unsure, searched) = (AtomicBool::new(false), Moment::now());
        Self { shared, unsure, searched, owned: Vec::new(), tried: None, group: 1 }
    }

    pub(super) async fn run(mut self) {
        while !self.shared.stop.load(Ordering::Acquire) {
            let wait = match self.look().await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::debug!("open runs cannot be read, and wait: {error}");
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
        // One that cannot be read must not hold up the others.
        let reloaded = self.reread(again).await;
        self.commands().await?;
        let early = self.news().await?;
        let all = self.claim().await?;
        self.suspects().await?;
        if self.unsure.load(Ordering::Acquire) {
            self.reconcile().await?;
        }
        self.search().await?;
        reloaded?;
        if self.tried.is_some() {
            return Ok(PROBE);
        }
        if !all {
            // Told when a slot is free.
            return Ok(POLL);
        }
        let Parts { store, clock, settings, .. } = &self.shared.parts;
        let due = store.next_due().await?.unwrap_or(Timestamp::NEVER);
        let wait = due.since(clock.now());
        // The run of a signal may be started any moment.
        let wait = if early { wait.min(EARLY) } else { wait };
        let poll = self.search_every().map_or(POLL, |every| every.min(POLL));
        Ok(if settings.exclusive { wait } else { wait.min(poll) })
    }

    /// Reads runs of this worker again. They may be in memory, and may leave it
    /// meanwhile.
    async fn reread(&self, mut runs: Vec<RunId>) -> Result<(), Error> {
        if runs.is_empty() {
            return Ok(());
        }
        runs.sort_unstable();
        runs.dedup();
        self.shared.lanes.iter().for_each(|lane| lane.state().rereads += 1);
        runs.iter().for_each(|_| self.shared.run_slots.take_over());
        let handed = self.hand_out(&runs, Message::Reread).await;
        for inbox in &self.shared.threads {
            // A thread that is gone reads nothing.
            let _gone = inbox.push(Message::AllReread);
        }
        handed
    }

    /// Claims what is due, as far as there are slots. False: some is left.
    async fn claim(&self) -> Result<bool, Error> {
        loop {
            let slots = self.shared.run_slots.take(CLAIM);
            if slots == 0 {
                return Ok(false);
            }
            let runs = self.claim_some(slots, SOUND).await?;
            self.hand_out(&runs, Message::Recover).await?;
            if runs.len() < slots {
                return Ok(true);
            }
        }
    }

    /// Claims up to as many as slots were taken for it; to be handed out.
    async fn claim_some(
        &self,
        slots: usize,
        claims: RangeInclusive<u32>,
    ) -> Result<Vec<RunId>, Error> {
        let Parts { store, clock, writer, .. } = &self.shared.parts;
        let limit = u32::try_from(slots).unwrap_or(u32::MAX);
        let runs = match store.claim(*writer, clock.now(), limit, claims).await {
            Ok(runs) => runs,
            Err(error) => {
                self.shared.run_slots.give_back(slots);
                self.unsure.store(true, Ordering::Release);
                return Err(error);
            }
        };
        self.shared.run_slots.give_back(slots.saturating_sub(runs.len()));
        Ok(runs)
    }

    /// Suspects are tried apart from all others, one, then two, then four: of
    /// many that were in memory when the process ended, the one that ended it is
    /// found, and the others need not wait for each other.
    async fn suspects(&mut self) -> Result<(), Error> {
        if !self.are_cleared().await? {
            return Ok(());
        }
        for (claims, most) in tries(self.shared.parts.settings.max_claims) {
            if claims.is_empty() {
                continue;
            }
            let since = self.shared.parts.clock.now();
            let slots = self.shared.run_slots.take(self.group.min(most));
            if slots == 0 {
                return Ok(());
            }
            let runs = self.claim_some(slots, claims).await?;
            if !runs.is_empty() {
                self.tried = Some(Tried { runs: runs.clone(), since });
                return self.hand_out(&runs, Message::Recover).await;
            }
        }
        Ok(())
    }

    /// Whether no suspect is being tried any more: each got further, or lived
    /// long enough.
    async fn are_cleared(&mut self) -> Result<bool, Error> {
        let Parts { store, clock, settings, .. } = &self.shared.parts;
        let Some(tried) = &mut self.tried else { return Ok(true) };
        tried.runs = store.suspected(&tried.runs).await?;
        if !tried.runs.is_empty() {
            if clock.now().since(tried.since) < settings.probation {
                return Ok(false);
            }
            store.vindicate(&tried.runs).await?;
        }
        self.tried = None;
        self.group = (self.group * 2).min(GROUP);
        Ok(true)
    }

    /// A claim whose answer was lost: what is not in memory is read.
    async fn reconcile(&self) -> Result<(), Error> {
        let Parts { store, writer, .. } = &self.shared.parts;
        let owned = store.owned(*writer).await?;
        self.unsure.store(false, Ordering::Release);
        self.look_for(&owned);
        Ok(())
    }

    /// Asks the threads for those of their runs that are not in memory.
    fn look_for(&self, owned: &[RunId]) {
        for (index, inbox) in self.shared.threads.iter().enumerate() {
            let of_thread = owned.iter().filter(|run| self.shared.lane_of(**run) == index);
            // A thread that is gone leaves the run to the next life.
            let _gone = inbox.push(Message::Owned(of_thread.copied().collect()));
        }
    }

    /// How often is looked for runs that are this worker's and in nobody's
    /// memory. Alone on its store, its next life finds them.
    fn search_every(&self) -> Option<Duration> {
        self.shared.parts.lease.term().map(|lease| lease * 2)
    }

    /// Whatever it was that lost a run: it would wait until this worker ends.
    /// What ends before the next search was not lost.
    async fn search(&mut self) -> Result<(), Error> {
        let Parts { store, writer, .. } = &self.shared.parts;
        let (now, every) = (Moment::now(), self.search_every());
        if every.is_none_or(|every| now.since(self.searched) < every) {
            return Ok(());
        }
        let mut owned = store.owned(*writer).await?;
        owned.sort_unstable();
        self.searched = now;
        let before = std::mem::replace(&mut self.owned, owned.clone());
        owned.retain(|run| before.binary_search(run).is_ok());
        self.look_for(&owned);
        Ok(())
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

    /// Brings what has come for runs to their threads. True: signals wait for runs
    /// that have not been started.
    async fn news(&self) -> Result<bool, Error> {
        let Parts { store, writer, .. } = &self.shared.parts;
        loop {
            let all = store.news(*writer).await?;
            if all.of_runs.is_empty() {
                return Ok(all.early);
            }
            for news in all.of_runs {
                if let Some(inbox) = self.shared.thread_of(news.run) {
                    // A thread that is gone leaves the run to the next life.
                    let _gone = inbox.push(Message::News(news));
                }
            }
        }
    }

    /// Each of `runs` has a slot.
    async fn hand_out(
        &self,
        runs: &[RunId],
        how: fn(Box<StoredRun>) -> Message,
    ) -> Result<(), Error> {
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
                Ok(stored) => how(Box::new(stored)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_dead_next_is_tried_alone_and_no_suspect_is_left_out() {
        for max_claims in 1..=10 {
            let tries = tries(max_claims);
            for claims in SUSPECT..=12 {
                let mut of = tries.iter().filter(|(range, _)| range.contains(&claims));
                let (_, most) = of.next().expect("a suspect is left out");
                assert!(of.next().is_none(), "{claims} of {max_claims} is there twice");
                let dies = claims + 1 >= max_claims;
                assert_eq!(*most == 1, dies, "{claims} of {max_claims}");
            }
            assert!(tries.iter().all(|(range, _)| !range.contains(&1)), "a sound one is a suspect");
        }
    }
}
