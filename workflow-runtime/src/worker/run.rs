//! One run in a thread's memory: its actor, and what it waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::launch::Stopper;
use super::underway::Attempt;
use crate::clock::Timestamp;
use crate::model::{AttemptRecord, CallId, Mail, RetryPolicy, StepDefinition};
use crate::turn::Actor;

pub(super) struct Run {
    pub(super) actor: Actor,
    pub(super) seed: i64,
    /// Steps that were begun and have no result yet.
    /// Boxed: a node of the map is large, and made and freed with every step.
    pub(super) steps: BTreeMap<CallId, Box<Step>>,
    pub(super) timers: BTreeMap<CallId, Timestamp>,
    /// What the store knows of attempts of steps that have no result yet.
    pub(super) records: BTreeMap<CallId, AttemptRecord>,
    /// Attempts that a thread before this one launched.
    pub(super) adopted: BTreeMap<CallId, Attempt>,
    /// Since when it only waits.
    pub(super) idle_since: Option<Timestamp>,
    /// Where it stands in the thread's alarms.
    pub(super) alarm: Option<Timestamp>,
    /// Whether it holds a run slot.
    pub(super) has_slot: bool,
    /// It was claimed while it was still here: read again when it leaves.
    pub(super) claimed_again: bool,
    /// Messages that it has not taken, in order.
    pub(super) mail: Vec<Mail>,
    /// Those that it took and that the store may still have.
    pub(super) taken: BTreeSet<i64>,
}

/// A step of a run.
pub(super) struct Step {
    pub(super) definition: &'static StepDefinition,
    pub(super) args: Arc<str>,
    pub(super) retry: RetryPolicy,
    pub(super) timeout: Option<Duration>,
    /// The attempt that runs or comes next, from 1.
    pub(super) attempt: u32,
    pub(super) state: StepState,
}

impl Step {
    /// Whether that attempt runs.
    pub(super) fn is_running(&self, attempt: u32) -> bool {
        self.attempt == attempt && matches!(self.state, StepState::Running)
    }
}

pub(super) enum StepState {
    /// An attempt runs.
    Running,
    /// What is known of its attempts is on its way to the store; the next one
    /// starts when it is there.
    Recording,
    /// The next attempt starts then.
    BackOff(Timestamp),
}

impl Run {
    pub(super) fn new(actor: Actor, seed: i64) -> Self {
        Self {
            actor,
            seed,
            steps: BTreeMap::new(),
            timers: BTreeMap::new(),
            records: BTreeMap::new(),
            adopted: BTreeMap::new(),
            idle_since: None,
            alarm: None,
            has_slot: true,
            claimed_again: false,
            mail: Vec::new(),
            taken: BTreeSet::new(),
        }
    }

    /// Whether an attempt runs.
    pub(super) fn is_busy(&self) -> bool {
        self.steps.values().any(|step| matches!(step.state, StepState::Running))
    }

    /// When its next timer or attempt is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        if self.records.is_empty() {
            // No step is in back-off: the many that run need no look.
            return self.timers.values().copied().min();
        }
        let attempts = self.steps.values().filter_map(|step| match step.state {
            StepState::BackOff(until) => Some(until),
            StepState::Running | StepState::Recording => None,
        });
        self.timers.values().copied().chain(attempts).min()
    }

    /// Whether it waits for time alone, or for others.
    pub(super) fn only_waits(&self) -> bool {
        let waits = self.steps.values().all(|step| matches!(step.state, StepState::BackOff(_)));
        waits
            && self.actor.is_idle()
            && !self.actor.is_blocked()
            && (self.next_due().is_some() || self.actor.waits_for_others())
    }

    /// Takes in what the store has for it, each once.
    pub(super) fn hears(&mut self, mut mail: Vec<Mail>, heard: i64) {
        let stored: BTreeSet<i64> = mail.iter().map(|one| one.number).collect();
        self.taken.retain(|number| stored.contains(number));
        mail.retain(|one| !self.taken.contains(&one.number));
        self.mail = mail;
        self.actor.hears(heard);
    }

    /// Timers that are due, oldest first, those of one moment by their number.
    pub(super) fn due_timers(&mut self, now: Timestamp) -> Vec<CallId> {
        let mut due: Vec<_> = self
            .timers
            .iter()
            .filter(|(_, due)| **due <= now)
            .map(|(call, due)| (*due, *call))
            .collect();
        due.sort_unstable();
        self.timers.retain(|_, due| *due > now);
        due.into_iter().map(|(_, call)| call).collect()
    }

    /// Steps whose next attempt is due.
    pub(super) fn due_attempts(&self, now: Timestamp) -> Vec<CallId> {
        let due = self.steps.iter().filter(|(_, step)| match step.state {
            StepState::BackOff(until) => until <= now,
            StepState::Running | StepState::Recording => false,
        });
        due.map(|(call, _)| *call).collect()
    }

    /// Stops calls and forgets them.
    pub(super) fn abort_these(&mut self, calls: &[CallId], stopper: &Stopper) {
        for call in calls {
            self.timers.remove(call);
            self.steps.remove(call);
            self.adopted.remove(call);
        }
        stopper.stop(self.actor.run(), calls);
    }

    pub(super) fn abort_all(&mut self, stopper: &Stopper) {
        self.steps.clear();
        self.adopted.clear();
        stopper.stop_run(self.actor.run());
    }
}
