//! What of a workflow thread outlives it: a turn that does not return has its
//! thread replaced, and everything but its own run goes on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::launch::Launch;
use super::message::{Message, Ticket};
use super::pace::{Sample, ThreadStat};
use super::underway::Underway;
use crate::error::Error;
use crate::model::{CallId, RunId, StepRun};
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
    /// Items of its runs that the committer has not answered.
    unanswered: AtomicUsize,
    pub(super) underway: Underway,
    /// Where the system tells of its thread.
    stat: Mutex<Option<ThreadStat>>,
}

#[derive(Default)]
pub(super) struct LaneState {
    /// Counts the threads that the lane has had.
    pub(super) generation: u64,
    /// Taken in and not yet handled.
    pub(super) messages: VecDeque<Message>,
    /// Wanted by runs and not yet on their way.
    pub(super) items: Vec<Envelope<Ticket>>,
    /// Attempts that are to begin.
    pub(super) launches: Vec<Launch>,
    /// Nothing more begins.
    pub(super) draining: bool,
    /// Who is told when nothing runs.
    pub(super) drain: Option<oneshot::Sender<()>>,
    pub(super) asked: BTreeMap<RunId, Asked>,
    /// Readings of runs that are under way, or not handled yet.
    pub(super) rereads: u32,
    /// Runs that left memory meanwhile: what was read of them may be of before.
    pub(super) left: BTreeSet<RunId>,
}

impl LaneState {
    /// A run leaves memory.
    pub(super) fn leaves(&mut self, run: RunId) {
        if self.rereads > 0 {
            self.left.insert(run);
        }
    }

    /// What was read again at one time was handled.
    pub(super) fn all_reread(&mut self) {
        self.rereads = self.rereads.saturating_sub(1);
        if self.rereads == 0 {
            self.left.clear();
        }
    }
}

impl Lane {
    /// The state, for the thread of that generation. None: it was replaced.
    pub(super) fn of(&self, generation: u64) -> Option<MutexGuard<'_, LaneState>> {
        let state = self.state();
        (state.generation == generation).then_some(state)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread that asks is the lane's from now on.
    pub(super) fn is_of_this_thread(&self) {
        *self.stat.lock().unwrap_or_else(PoisonError::into_inner) = ThreadStat::of_this_thread();
    }

    /// What its thread does at this moment.
    pub(super) fn sample(&self) -> Option<Sample> {
        self.stat.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.sample()
    }

    /// A turn of its thread begins.
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

    /// If its thread is still in that turn, another one has the lane from now
    /// on, and is in none.
    pub(super) fn begin_anew(&self, turn: u64) -> Option<MutexGuard<'_, LaneState>> {
        // No turn ends while the state is locked.
        let mut state = self.state();
        if self.beat.load(Ordering::Acquire) != turn {
            return None;
        }
        state.generation += 1;
        self.beat.fetch_add(1, Ordering::Release);
        Some(state)
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

    /// The message of an attempt's end, if somebody waits for it.
    pub(super) fn ended(
        &self,
        ticket: Ticket,
        call: CallId,
        number: u32,
        how: StepRun,
    ) -> Option<Message> {
        let is_wanted = self.underway.ended(ticket.run, call, number, &how);
        is_wanted.then(|| Message::Ended(ticket, call, number, how))
    }

    /// Whether the committer has answered everything.
    pub(super) fn is_settled(&self) -> bool {
        self.unanswered.load(Ordering::Acquire) == 0
    }
}
