//! What of a workflow thread outlives it: a turn that does not return has its
//! thread replaced, and everything but its own run goes on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::message::{Message, Ticket};
use super::run::Running;
use crate::error::Error;
use crate::model::{CallId, RunId};
use crate::store::{Accepted, Envelope};

/// The client that waits for a start.
pub(super) type Asked = oneshot::Sender<Result<Accepted, Error>>;

#[derive(Default)]
pub(super) struct Lane {
    state: Mutex<LaneState>,
    /// Odd while a turn runs.
    beat: AtomicU64,
    /// Whose turn it is or was last.
    run: AtomicI64,
    /// Run slots that the thread's runs hold.
    slots: AtomicUsize,
    /// Attempts that were launched and are not known to be pending.
    in_transit: AtomicUsize,
    /// Items of its runs that the committer has not answered.
    unanswered: AtomicUsize,
    /// Attempts that have tasks of their own.
    running: Mutex<BTreeMap<(RunId, CallId), Running>>,
}

#[derive(Default)]
pub(super) struct LaneState {
    /// Counts the threads that the lane has had.
    pub(super) generation: u64,
    /// Taken in and not yet handled.
    pub(super) messages: VecDeque<Message>,
    /// Wanted by runs and not yet on their way.
    pub(super) items: Vec<Envelope<Ticket>>,
    pub(super) asked: BTreeMap<RunId, Asked>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lane {
    /// The state, for the thread of that generation. None: it was replaced.
    pub(super) fn of(&self, generation: u64) -> Option<MutexGuard<'_, LaneState>> {
        let state = lock(&self.state);
        (state.generation == generation).then_some(state)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, LaneState> {
        lock(&self.state)
    }

    /// A turn begins.
    pub(super) fn begin_turn(&self, run: RunId) {
        self.run.store(run.0, Ordering::Relaxed);
        self.beat.fetch_add(1, Ordering::Release);
    }

    /// A turn of the thread of that generation returned. False: it was
    /// replaced.
    pub(super) fn end_turn(&self, generation: u64) -> bool {
        let current = self.of(generation);
        if current.is_some() {
            self.beat.fetch_add(1, Ordering::Release);
        }
        current.is_some()
    }

    /// Changes with every turn; and whose turn runs now.
    pub(super) fn beat(&self) -> (u64, Option<RunId>) {
        let beat = self.beat.load(Ordering::Acquire);
        (beat, (beat % 2 == 1).then(|| RunId(self.run.load(Ordering::Relaxed))))
    }

    /// Another thread has it from now on, and is in no turn; its generation.
    pub(super) fn begin_anew(&self) -> (u64, Vec<Envelope<Ticket>>) {
        let mut state = self.state();
        state.generation += 1;
        self.beat.fetch_add(1, Ordering::Release);
        (state.generation, std::mem::take(&mut state.items))
    }

    /// Takes all run slots of its runs away; how many they were.
    pub(super) fn take_slots(&self) -> usize {
        self.slots.swap(0, Ordering::AcqRel)
    }

    pub(super) fn add_slots(&self, count: usize) {
        self.slots.fetch_add(count, Ordering::AcqRel);
    }

    pub(super) fn remove_slots(&self, count: usize) {
        self.slots.fetch_sub(count, Ordering::AcqRel);
    }

    pub(super) fn sent(&self, items: usize) {
        self.unanswered.fetch_add(items, Ordering::AcqRel);
    }

    pub(super) fn answered(&self, items: usize) {
        self.unanswered.fetch_sub(items, Ordering::AcqRel);
    }

    pub(super) fn launched(&self, attempts: usize) {
        self.in_transit.fetch_add(attempts, Ordering::AcqRel);
    }

    pub(super) fn landed(&self, attempts: usize) {
        self.in_transit.fetch_sub(attempts, Ordering::AcqRel);
    }

    /// Whether everything that its last thread sent has arrived.
    pub(super) fn is_settled(&self) -> bool {
        let transit = self.in_transit.load(Ordering::Acquire);
        transit == 0 && self.unanswered.load(Ordering::Acquire) == 0
    }

    /// The attempts that have tasks.
    pub(super) fn running(&self) -> MutexGuard<'_, BTreeMap<(RunId, CallId), Running>> {
        lock(&self.running)
    }
}
