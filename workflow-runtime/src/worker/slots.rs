//! How much runs at one time. Runs that wait hold no run slot, steps in
//! back-off hold no step slot.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::launch::{Launch, Launcher};
use crate::model::{CallId, RunId};

/// The runs that are in hand.
pub(super) struct RunSlots {
    limit: usize,
    used: AtomicUsize,
    /// Somebody found none.
    wanted: AtomicBool,
    claim: Arc<Notify>,
}

impl RunSlots {
    pub(super) fn new(limit: usize, claim: Arc<Notify>) -> Self {
        Self { limit, used: AtomicUsize::new(0), wanted: AtomicBool::new(false), claim }
    }

    /// Takes up to `most`; returns how many.
    pub(super) fn take(&self, most: usize) -> usize {
        loop {
            let used = self.used.load(Ordering::Acquire);
            let taken = self.limit.saturating_sub(used).min(most);
            if taken == 0 {
                self.wanted.store(true, Ordering::SeqCst);
                if self.used.load(Ordering::SeqCst) >= self.limit {
                    return 0;
                }
                // One was given back in between.
                continue;
            }
            let next = used + taken;
            let swapped =
                self.used.compare_exchange(used, next, Ordering::SeqCst, Ordering::Acquire);
            if swapped.is_ok() {
                return taken;
            }
        }
    }

    /// Takes one, whatever the limit is: for a run that was in hand before.
    pub(super) fn take_over(&self) {
        self.used.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn give_back(&self, count: usize) {
        if count == 0 {
            return;
        }
        self.used.fetch_sub(count, Ordering::SeqCst);
        if self.wanted.swap(false, Ordering::SeqCst) {
            self.claim.notify_one();
        }
    }
}

/// The attempts that run, and those that wait for a slot.
pub(super) struct StepSlots {
    free: AtomicUsize,
    waiting: Mutex<VecDeque<Waiting>>,
}

/// An attempt that waits for a slot, and who begins it: its outcome goes to the
/// thread that has its run, whoever gives the slot back.
pub(super) type Waiting = (Launcher, Launch);

impl StepSlots {
    pub(super) fn new(limit: usize) -> Self {
        Self { free: AtomicUsize::new(limit.max(1)), waiting: Mutex::default() }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves in `launches` those that have a slot; the others wait. Gives those
    /// that waited and have one now.
    pub(super) fn admit(&self, by: &Launcher, launches: &mut Vec<Launch>) -> Vec<Waiting> {
        let wanted = launches.len();
        let take = |free: usize| Some(free.saturating_sub(wanted));
        let free = self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        let free = free.unwrap_or_else(|free| free);
        let mut next = Vec::new();
        if free < wanted {
            let mut waiting = self.waiting();
            waiting.extend(launches.drain(free..).map(|launch| (by.clone(), launch)));
            // Slots that were given back before these waited are theirs.
            while !waiting.is_empty() && self.take_one() {
                next.extend(waiting.pop_front());
            }
        }
        next
    }

    fn take_one(&self) -> bool {
        let take = |free: usize| free.checked_sub(1);
        self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }

    /// Gives slots back; returns the attempts that have them now.
    pub(super) fn give_back(&self, count: usize) -> Vec<Waiting> {
        let mut waiting = self.waiting();
        let next = count.min(waiting.len());
        let launches = waiting.drain(..next).collect();
        self.free.fetch_add(count - next, Ordering::AcqRel);
        launches
    }

    /// Nobody begins what waits any more.
    pub(super) fn close(&self) {
        let waiting = std::mem::take(&mut *self.waiting());
        drop(waiting);
    }

    /// Nobody wants that attempt any more, or any of the run: it waits for no
    /// slot.
    pub(super) fn forget(&self, run: RunId, call: Option<CallId>) {
        let is_other = |launch: &Launch| {
            launch.ticket.run != run || call.is_some_and(|call| call != launch.context.call)
        };
        self.waiting().retain(|(_, launch)| is_other(launch));
    }
}
