//! What the parts of a test share: its plan, its mocks, what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore as _;

use super::calls::CallRecord;
use super::mock::{Body, StepFaults};
use super::plan::{Fault, Plan};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind};
use crate::model::{CallId, RunId};
use crate::state::State;
use crate::store::{NewRun, Starts};
use crate::worker::Ended;

/// Where a fault can happen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// An attempt is about to begin.
    BeforeAttempt,
    /// It has begun and done nothing yet.
    BeforeEffect,
    /// It has its result, and nobody else knows.
    AfterEffect,
    /// A commit is about to be made.
    BeforeCommit,
    /// It is made, and nobody knows yet.
    AfterCommit,
    /// Histories of so many events are about to be replayed.
    Replay(u32),
}

/// A place that a run of a test came by.
#[derive(Clone, Debug)]
pub(super) struct Passed {
    pub(super) place: Place,
    /// After how many crashes.
    pub(super) life: u32,
}

/// So many lines of a timeline are shown, at its begin and at its end.
const FIRST: usize = 20;
const LAST: usize = 100;

/// A crash that the test itself asked for.
pub(super) struct Asked {
    pub(super) place: Place,
    /// Of which step; none: any, or a commit.
    pub(super) step: Option<&'static str>,
    /// Of which commit.
    pub(super) commit: Option<u64>,
    pub(super) fault: Fault,
}

#[derive(Default)]
pub(super) struct Facts {
    pub(super) plan: Plan,
    /// Chooses where the plan says nothing.
    pub(super) chance: Option<ChaCha8Rng>,
    /// Faults that chance may choose.
    pub(super) faults: Vec<Fault>,
    /// Time may pass while something could happen.
    pub(super) explores: bool,
    /// Each choice: which, of how many.
    pub(super) choices: Vec<(u32, u32)>,
    pub(super) passed: Vec<Passed>,
    pub(super) injected: BTreeMap<u32, Fault>,
    pub(super) asked: Vec<Asked>,
    pub(super) mocks: BTreeMap<&'static str, Arc<dyn Body>>,
    pub(super) step_faults: BTreeMap<&'static str, StepFaults>,
    pub(super) calls: Vec<CallRecord>,
    pub(super) timeline: Vec<(Timestamp, String)>,
    pub(super) violations: Vec<String>,
    pub(super) state: State,
    pub(super) starts: Option<Arc<dyn Starts>>,
    /// Starts that wait for a life.
    pub(super) backlog: Vec<NewRun>,
    pub(super) ended: Vec<(u32, Ended)>,
    pub(super) commits: u64,
    /// Commits under way.
    pub(super) committing: u32,
    pub(super) life: u32,
    pub(super) crash: bool,
    pub(super) second: bool,
    /// There were two processes at one time.
    pub(super) two: bool,
    pub(super) runs: BTreeSet<RunId>,
    /// Results that are durable.
    pub(super) checkpoints: BTreeSet<(RunId, CallId)>,
    /// Runs that the test wants blocked.
    pub(super) may_block: bool,
    pub(super) numbers: BTreeMap<&'static str, u32>,
    pub(super) root: Option<Waker>,
    pub(super) began: Timestamp,
}

/// Shared by all parts of one run of a test.
pub(super) struct World {
    state: Mutex<Facts>,
    clock: Arc<SimClock>,
}

impl World {
    pub(super) fn new(clock: Arc<SimClock>, state: Facts) -> Arc<Self> {
        let state = Facts { began: clock.now(), ..state };
        Arc::new(Self { state: Mutex::new(state), clock })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, Facts> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    /// Notes what happened.
    pub(super) fn note(&self, what: impl Into<String>) {
        let now = self.now();
        self.state().timeline.push((now, what.into()));
    }

    pub(super) fn violation(&self, what: impl Into<String>) {
        let what = what.into();
        self.note(format!("VIOLATION {}", what.lines().next().unwrap_or_default()));
        self.state().violations.push(what);
    }

    /// Wakes the driver: there may be something to do.
    pub(super) fn wake(&self) {
        if let Some(root) = self.state().root.clone() {
            root.wake();
        }
    }

    /// Which of `count` comes first.
    pub(super) fn choose(&self, count: usize) -> usize {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if count < 2 {
            return 0;
        }
        let mut state = self.state();
        let at = u32::try_from(state.choices.len()).unwrap_or(u32::MAX);
        let planned = state.plan.choices.get(&at).copied();
        let chosen = match (planned, &mut state.chance) {
            (Some(planned), _) => planned.min(count - 1),
            (None, Some(chance)) => chance.next_u32() % count,
            (None, None) => 0,
        };
        state.choices.push((chosen, count));
        chosen as usize
    }

    /// Comes by a place; what is to happen there.
    pub(super) fn pass(
        &self,
        place: Place,
        step: Option<&'static str>,
        commit: Option<u64>,
    ) -> Option<Fault> {
        let mut state = self.state();
        let at = u32::try_from(state.passed.len()).unwrap_or(u32::MAX);
        let life = state.life;
        state.passed.push(Passed { place, life });
        let is_asked = |asked: &Asked| {
            asked.place == place
                && (asked.step.is_none() || asked.step == step)
                && (asked.commit.is_none() || asked.commit == commit)
        };
        if let Some(found) = state.asked.iter().position(is_asked) {
            return Some(state.asked.remove(found).fault);
        }
        let planned = state.plan.faults.get(&at).copied();
        let fault = planned.filter(|fault| fits(*fault, place)).or_else(|| state.by_chance(place));
        if let Some(fault) = fault {
            state.injected.insert(at, fault);
        }
        fault
    }

    /// The plan that repeats what happened.
    pub(super) fn done(&self) -> Plan {
        let state = self.state();
        let choices = (0..).zip(&state.choices).map(|(at, (chosen, _))| (at, *chosen));
        let choices = choices.filter(|(_, chosen)| *chosen > 0).collect();
        Plan { choices, faults: state.injected.clone() }
    }

    pub(super) fn timeline(&self) -> String {
        let state = self.state();
        let mut text = String::new();
        let left_out = state.timeline.len().saturating_sub(FIRST + LAST);
        for (n, (at, what)) in state.timeline.iter().enumerate() {
            if n >= FIRST && n < FIRST + left_out {
                if n == FIRST {
                    text.push_str(&format!("  {:>16}  ({left_out} lines)\n", "…"));
                }
                continue;
            }
            let written = writeln!(text, "  {:>16}  {what}", elapsed(at.since(state.began)));
            debug_assert!(written.is_ok(), "writing to a string cannot fail");
        }
        text
    }
}

impl Facts {
    /// At most three faults, at one place of sixteen.
    fn by_chance(&mut self, place: Place) -> Option<Fault> {
        let fitting: Vec<Fault> =
            self.faults.iter().copied().filter(|fault| fits(*fault, place)).collect();
        let chance = self.chance.as_mut()?;
        if fitting.is_empty() || self.injected.len() >= 3 || chance.next_u32() % 16 != 0 {
            return None;
        }
        let count = u32::try_from(fitting.len()).unwrap_or(1);
        fitting.get((chance.next_u32() % count) as usize).copied()
    }
}

/// Whether that can happen there.
pub(super) fn fits(fault: Fault, place: Place) -> bool {
    match fault {
        Fault::Crash => !matches!(place, Place::Replay(_)),
        Fault::CommitError | Fault::SlowCommit | Fault::Zombie => place == Place::BeforeCommit,
        Fault::ReplyLost => place == Place::AfterCommit,
        Fault::CrashInReplay(_) => matches!(place, Place::Replay(_)),
    }
}

fn elapsed(time: Duration) -> String {
    let millis = time.as_millis();
    let (days, rest) = (millis / 86_400_000, millis % 86_400_000);
    let (hours, minutes) = (rest / 3_600_000, rest / 60_000 % 60);
    let (seconds, millis) = (rest / 1000 % 60, rest % 1000);
    let days = if days > 0 { format!("{days}d ") } else { String::new() };
    format!("{days}{hours:02}:{minutes:02}:{seconds:02}.{millis:03}")
}

/// The time of a test: tokio's, which is paused, from a fixed day on.
pub(super) struct SimClock {
    origin: tokio::time::Instant,
    last: AtomicI64,
}

/// 2026-01-01 00:00 UTC.
const DAY_ONE: i64 = 1_767_225_600_000;

impl SimClock {
    /// Inside a runtime whose time is paused.
    pub(super) fn new() -> Arc<Self> {
        let origin = tokio::time::Instant::now();
        Arc::new(Self { origin, last: AtomicI64::new(DAY_ONE) })
    }
}

impl Clock for SimClock {
    /// Elsewhere than in the runtime: what was read there last.
    fn now(&self) -> Timestamp {
        if tokio::runtime::Handle::try_current().is_ok() {
            let passed = tokio::time::Instant::now().duration_since(self.origin);
            let millis = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
            self.last.store(DAY_ONE.saturating_add(millis), Ordering::Release);
        }
        Timestamp::from_millis(self.last.load(Ordering::Acquire))
    }
}

/// Starts go to the life that is there.
impl Starts for World {
    fn start(&self, new: NewRun) -> Result<(), Error> {
        // Its own statement: the lock is not held while the start is handed on.
        let starts = self.state().starts.clone();
        match starts {
            Some(starts) => starts.start(new)?,
            None => {
                let mut state = self.state();
                if state.root.is_none() {
                    return Err(Error::new(ErrorKind::ShutDown, "the test is over"));
                }
                state.backlog.push(new);
            }
        }
        self.wake();
        Ok(())
    }

    fn nudge(&self) {
        let starts = self.state().starts.clone();
        if let Some(starts) = starts {
            starts.nudge();
        }
    }

    fn close(&self) {
        // A test ends as a whole.
    }
}
