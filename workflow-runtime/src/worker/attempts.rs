//! Steps of runs: their attempts, what is recorded of them, their outcomes.

use std::cell::Cell;
use std::sync::Arc;

use super::launch::{Launch, failed};
use super::message::Ticket;
use super::run::{Run, Step, StepState};
use super::thread::WorkflowThread;
use super::underway::{Attempt, AttemptState};
use crate::error::{Failure, FailureKind};
use crate::model::{AttemptRecord, CallId, RetryPolicy, StepDefinition, StepOutcome, StepRun};
use crate::step::StepContext;
use crate::turn::Target;

/// The outcome of a signal that was delivered.
const DELIVERED: &str = r#"{"ok":null}"#;

impl WorkflowThread {
    /// Starts calls that are durable, and still waited for.
    pub(super) fn launch(&mut self, ticket: Ticket, run: &mut Run, calls: Vec<CallId>) {
        for call in calls {
            if !run.actor.is_waiting(call) {
                continue;
            }
            if let Some(step) = self.begun_before(run, call) {
                self.interrupted(run, call, step);
                continue;
            }
            let Some(spec) = run.actor.call(call) else { continue };
            let (definition, overrides) = match &spec.target {
                Target::Timer { due } => {
                    run.timers.insert(call, *due);
                    continue;
                }
                Target::Step { definition: Some(definition), overrides } => {
                    (*definition, overrides.as_deref())
                }
                Target::Send(_) => {
                    // Durable, it is delivered.
                    self.deliver_text(run, call, DELIVERED);
                    continue;
                }
                // Somebody else gives it its outcome.
                Target::Step { definition: None, .. }
                | Target::Receive(_)
                | Target::Child(_)
                | Target::Ask(_)
                | Target::Reply(_) => continue,
            };
            let record = run.records.get(&call);
            let due = record.map_or(self.now, |record| record.retry_at);
            let once = definition.at_most_once;
            let retry = overrides.and_then(|overrides| overrides.retry);
            let timeout = overrides.and_then(|overrides| overrides.timeout);
            let step = Step {
                definition,
                args: Arc::clone(&spec.args),
                retry: if once { RetryPolicy::NONE } else { retry.unwrap_or(definition.retry) },
                timeout: timeout.or(definition.timeout),
                attempt: record.map_or(1, |record| record.failed.saturating_add(1)),
                state: if once { StepState::Recording } else { StepState::BackOff(due) },
            };
            run.steps.insert(call, Box::new(step));
            if once && !run.adopted.contains_key(&call) {
                // Begun, the store knows, before it begins.
                let intent = AttemptRecord::new(call);
                run.records.insert(call, intent.clone());
                run.actor.record(intent);
            } else {
                self.attempt(ticket, run, call);
                // Of many, the first may begin.
                self.send_some();
            }
        }
    }

    /// A step that runs at most once and that an earlier life began: it is not
    /// begun again.
    fn begun_before(&self, run: &Run, call: CallId) -> Option<&'static StepDefinition> {
        if !run.records.contains_key(&call) || run.adopted.contains_key(&call) {
            return None;
        }
        match run.actor.call(call)?.target {
            Target::Step { definition, .. } => definition.filter(|step| step.at_most_once),
            Target::Timer { .. }
            | Target::Receive(_)
            | Target::Child(_)
            | Target::Send(_)
            | Target::Ask(_)
            | Target::Reply(_) => None,
        }
    }

    fn interrupted(&self, run: &mut Run, call: CallId, step: &StepDefinition) {
        let message = format!(
            "the process ended while `{}` was running: whether it acted is unknown",
            step.named.name
        );
        let failure = Failure::of_kind(FailureKind::Interrupted, message);
        let limits = self.shared.parts.settings.limits;
        self.conclude_step(run, call, failed(step, &failure, limits).outcome);
    }

    /// Makes the next attempt of a step, if it is due.
    pub(super) fn attempt(&mut self, ticket: Ticket, run: &mut Run, call: CallId) {
        if let Some(attempt) = run.adopted.remove(&call) {
            return self.adopt(run, call, attempt);
        }
        let Some(step) = run.steps.get_mut(&call) else { return };
        let due = matches!(step.state, StepState::BackOff(until) if until <= self.now);
        if self.draining && step.definition.at_most_once && run.records.remove(&call).is_some() {
            // It was to begin, and does not: the next life is told so.
            run.actor.settle(call);
        }
        if !due || self.draining {
            return;
        }
        let context = StepContext {
            workflow_id: Arc::clone(run.actor.id()),
            run: ticket.run,
            seed: run.seed,
            call,
            attempt: step.attempt,
            meta: run.actor.meta().cloned(),
            detail: run.records.get(&call).and_then(|record| record.detail.clone()),
            cancel: Arc::default(),
            heart: Some((self.heart(), ticket.slot)),
            mailer: Some(self.mailer()),
            sent: Cell::new(0),
            payload_limit: self.shared.parts.settings.limits.payload,
        };
        step.state = StepState::Running;
        let (definition, args) = (step.definition, Arc::clone(&step.args));
        let launch = Launch { ticket, definition, args, timeout: step.timeout, context };
        let Some(mut state) = self.shared.lanes[self.index].of(self.generation) else { return };
        self.lane().underway.add(&launch);
        state.launches.push(launch);
        self.unsent += 1;
    }

    /// What comes of the attempts of a run that is set aside is kept for whoever
    /// goes on with it.
    pub(super) fn keep_adopted(&mut self, run: &mut Run) {
        for (call, attempt) in std::mem::take(&mut run.adopted) {
            let once = attempt.definition.at_most_once;
            let step = Step {
                definition: attempt.definition,
                args: Arc::default(),
                // A failure that another attempt may follow is no result yet.
                retry: if once { RetryPolicy::NONE } else { RetryPolicy::new(u32::MAX) },
                timeout: None,
                attempt: attempt.number,
                state: StepState::Recording,
            };
            run.steps.insert(call, Box::new(step));
            self.adopt(run, call, attempt);
        }
    }

    /// A step of the run goes on with an attempt that a thread before this one
    /// launched.
    fn adopt(&mut self, run: &mut Run, call: CallId, attempt: Attempt) {
        let Some(step) = run.steps.get_mut(&call) else { return };
        (step.attempt, step.state) = (attempt.number, StepState::Running);
        if let AttemptState::Ended(text, failed) = attempt.state {
            let how = StepRun { outcome: text.into(), failed: failed.map(|failed| *failed) };
            self.ended(run, call, attempt.number, how);
        }
    }

    /// Attempts that a replay says nobody waits for are stopped.
    pub(super) fn stop_unwanted(&self, run: &mut Run) {
        let adopted = run.adopted.keys().copied();
        let unwanted: Vec<_> = adopted.filter(|call| !run.actor.is_waiting(*call)).collect();
        run.abort_these(&unwanted, &self.stopper);
    }

    /// A step said how far it is: the newest detail is written next.
    pub(super) fn heartbeat(run: &mut Run, call: CallId, detail: Arc<str>) {
        let is_running = run.steps.get(&call);
        if !is_running.is_some_and(|step| matches!(step.state, StepState::Running)) {
            return;
        }
        let record = run.records.entry(call).or_insert_with(|| AttemptRecord::new(call));
        record.detail = Some(detail);
        run.actor.record(record.clone());
    }

    /// What is known of attempts is durable: those that waited for it start.
    pub(super) fn recorded(&mut self, ticket: Ticket, run: &mut Run, records: Vec<AttemptRecord>) {
        for AttemptRecord { call, failed, retry_at, .. } in records {
            let Some(step) = run.steps.get_mut(&call) else { continue };
            // A heartbeat that was on its way when the attempt failed says less.
            let is_newest = run.records.get(&call).is_some_and(|record| record.failed == failed);
            if is_newest && matches!(step.state, StepState::Recording) {
                step.attempt = failed.saturating_add(1);
                step.state = StepState::BackOff(retry_at);
                self.attempt(ticket, run, call);
            }
        }
    }

    /// An attempt ended: another follows, or its outcome is delivered.
    pub(super) fn ended(
        &mut self,
        run: &mut Run,
        call: CallId,
        attempt: u32,
        how: StepRun,
    ) -> bool {
        let step = run.steps.get_mut(&call).filter(|step| step.is_running(attempt));
        let Some(step) = step else { return Self::stays(run) };
        let StepRun { outcome, failed } = how;
        let again = failed.filter(|failed| failed.retryable);
        let wait = again.as_ref().and_then(|_| {
            let chance = self.fraction();
            step.retry.wait(step.attempt, chance)
        });
        if wait.is_some() && run.actor.is_blocked() {
            // No result yet: whoever goes on with the run tries again.
            run.steps.remove(&call);
            self.stopper.stop(run.actor.run(), &[call]);
            return Self::stays(run);
        }
        if let (Some(failed), Some(wait)) = (again, wait) {
            let wait = wait.max(failed.retry_after.unwrap_or_default());
            step.state = StepState::Recording;
            let record = run.records.entry(call).or_insert_with(|| AttemptRecord::new(call));
            record.failed = step.attempt;
            record.error = failed.message.into();
            record.retry_at = self.now + wait;
            run.actor.record(record.clone());
            return true;
        }
        self.conclude_step(run, call, outcome);
        Self::stays(run)
    }

    /// The outcome of a step is delivered, or kept while the run is blocked.
    fn conclude_step(&self, run: &mut Run, call: CallId, outcome: StepOutcome) {
        let step = run.steps.remove(&call);
        if run.records.remove(&call).is_some() {
            run.actor.settle(call);
        }
        match step.filter(|_| run.actor.is_blocked()) {
            Some(step) => run.actor.keep(call, step.definition.named.name, &outcome, self.now),
            None => {
                run.actor.deliver(call, outcome, self.now);
            }
        }
        self.settle_dropped(run);
    }

    /// What is known of attempts of steps that nobody waits for any more goes
    /// too.
    pub(super) fn settle_dropped(&self, run: &mut Run) {
        if run.records.is_empty() || run.actor.is_blocked() {
            return;
        }
        let known = run.records.keys().copied();
        let gone: Vec<_> = known.filter(|call| !run.actor.is_waiting(*call)).collect();
        for call in gone {
            run.records.remove(&call);
            run.actor.settle(call);
        }
    }
}
