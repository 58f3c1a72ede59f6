//! Attempts that are under way: from their launch until what came of them is on
//! its way to the store. They outlive the thread that launched them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

use super::launch::Launch;
use crate::model::{AttemptFailure, CallId, Item, RunId, StepDefinition, StepRun};
use crate::step::Cancel;

/// The attempts of a lane. A call has one at a time.
#[derive(Default)]
pub(super) struct Underway(Mutex<BTreeMap<(RunId, CallId), Attempt>>);

/// An attempt under way.
pub(super) struct Attempt {
    /// From 1.
    pub(super) number: u32,
    pub(super) definition: &'static StepDefinition,
    pub(super) state: AttemptState,
}

pub(super) enum AttemptState {
    Running(Running),
    /// Its outcome as text, and if another attempt may follow, why.
    Ended(Arc<str>, Option<Box<AttemptFailure>>),
}

/// An attempt that runs.
#[derive(Clone)]
pub(super) struct Running {
    /// Tells it that nobody waits for it any more.
    pub(super) cancel: Arc<Cancel>,
    /// Its task, if it has one of its own.
    pub(super) task: Option<AbortHandle>,
}

impl Underway {
    fn attempts(&self) -> MutexGuard<'_, BTreeMap<(RunId, CallId), Attempt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt is to begin.
    pub(super) fn add(&self, launch: &Launch) {
        let running = Running { cancel: Arc::clone(&launch.context.cancel), task: None };
        let attempt = Attempt {
            number: launch.context.attempt,
            definition: launch.definition,
            state: AttemptState::Running(running),
        };
        self.attempts().insert((launch.ticket.run, launch.context.call), attempt);
    }

    /// It has a task of its own. False: nobody waits for it any more.
    pub(super) fn has_task(
        &self,
        run: RunId,
        call: CallId,
        number: u32,
        task: &AbortHandle,
    ) -> bool {
        let mut attempts = self.attempts();
        let Some(attempt) = attempts.get_mut(&(run, call)) else { return false };
        if attempt.number == number
            && let AttemptState::Running(running) = &mut attempt.state
        {
            running.task = Some(task.clone());
        }
        attempt.number == number
    }

    /// It ended. False: nobody waits for it any more.
    pub(super) fn ended(&self, run: RunId, call: CallId, number: u32, how: &StepRun) -> bool {
        let mut attempts = self.attempts();
        let attempt = attempts.get_mut(&(run, call)).filter(|attempt| attempt.number == number);
        if let Some(attempt) = attempt {
            let failed = how.failed.clone().map(Box::new);
            attempt.state = AttemptState::Ended(Arc::clone(&how.outcome.text), failed);
            return true;
        }
        false
    }

    /// What came of attempts is on its way to the store.
    pub(super) fn sent(&self, item: &Item) {
        let mut attempts = self.attempts();
        if attempts.is_empty() {
            return;
        }
        for call in item.events.iter().filter_map(|event| event.call) {
            attempts.remove(&(item.run, call));
        }
        for record in &item.attempts {
            let of = (item.run, record.call);
            if attempts.get(&of).is_some_and(|attempt| attempt.number <= record.failed) {
                attempts.remove(&of);
            }
        }
    }

    /// Nobody waits for it any more; whether it runs.
    pub(super) fn forget(&self, run: RunId, call: CallId) -> Option<Running> {
        self.attempts().remove(&(run, call)).and_then(Attempt::running)
    }

    /// A run leaves this lane: its attempts that run.
    pub(super) fn forget_run(&self, run: RunId) -> Vec<Running> {
        let mut attempts = self.attempts();
        let gone = of_run(&attempts, run);
        gone.iter().filter_map(|call| attempts.remove(&(run, *call))?.running()).collect()
    }

    /// What the threads before this one launched for a run.
    pub(super) fn of_run(&self, run: RunId) -> BTreeMap<CallId, Attempt> {
        let attempts = self.attempts();
        let calls = of_run(&attempts, run).into_iter();
        calls.filter_map(|call| Some((call, attempts.get(&(run, call))?.known()))).collect()
    }

    /// The runs that have attempts.
    pub(super) fn runs(&self) -> Vec<RunId> {
        let mut runs: Vec<RunId> = self.attempts().keys().map(|(run, _)| *run).collect();
        runs.dedup();
        runs
    }
}

fn of_run(attempts: &BTreeMap<(RunId, CallId), Attempt>, run: RunId) -> Vec<CallId> {
    let all = (run, CallId(0))..=(run, CallId(u32::MAX));
    attempts.range(all).map(|((_, call), _)| *call).collect()
}

impl Attempt {
    fn running(self) -> Option<Running> {
        match self.state {
            AttemptState::Running(running) => Some(running),
            AttemptState::Ended(..) => None,
        }
    }

    fn known(&self) -> Self {
        let state = match &self.state {
            AttemptState::Running(running) => AttemptState::Running(running.clone()),
            AttemptState::Ended(text, failed) => {
                AttemptState::Ended(Arc::clone(text), failed.clone())
            }
        };
        Self { number: self.number, definition: self.definition, state }
    }
}
