//! Steps of runs: their attempts, what is recorded of them, their outcomes.

use std::sync::Arc;

use super::launch::{Launch, failed};
use super::message::Ticket;
use super::run::{Run, Running, Step, StepState};
use super::thread::{Adopted, WorkflowThread};
use crate::error::{Failure, FailureKind};
use crate::model::{AttemptRecord, CallId, RetryPolicy, StepDefinition, StepOutcome, StepRun};
use crate::step::StepContext;
use crate::turn::Target;

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
                Target::Step { definition: None, .. } => continue,
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
            if once && !self.adopted.contains_key(&(ticket.run, call)) {
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
        let is_adopted = self.adopted.contains_key(&(run.actor.run(), call));
        if !run.records.contains_key(&call) || is_adopted {
            return None;
        }
        match run.actor.call(call)?.target {
            Target::Step { definition, .. } => definition.filter(|step| step.at_most_once),
            Target::Timer { .. } => None,
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
        match self.adopted.remove(&(ticket.run, call)) {
            None => {}
            Some(Adopted::Ended(ended)) => {
                self.ended(run, call, ended);
                return;
            }
            Some(Adopted::Running(running)) => {
                if let Some(step) = run.steps.get_mut(&call) {
                    step.state = StepState::Running(running);
                }
                return;
            }
        }
        let Some(step) = run.steps.get_mut(&call) else { return };
        let due = matches!(step.state, StepState::BackOff(until) if until <= self.now);
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
            payload_limit: self.shared.parts.settings.limits.payload,
        };
        let cancel = Arc::clone(&context.cancel);
        step.state = StepState::Running(Running { cancel, task: None });
        self.unsent += 1;
        self.launches.push(Launch {
            ticket,
            definition: step.definition,
            args: Arc::clone(&step.args),
            timeout: step.timeout,
            context,
        });
    }

    /// An attempt ended; of a run that is yet to be read back, it is kept.
    pub(super) fn attempt_ended(&mut self, ticket: Ticket, call: CallId, ended: StepRun) {
        let of = (ticket.run, call);
        if let Some(adopted) = self.adopted.get_mut(&of) {
            *adopted = Adopted::Ended(ended);
            return;
        }
        self.with(self.found(ticket), |thread, run| thread.ended(run, call, ended));
    }

    /// An attempt has a task of its own.
    pub(super) fn spawned(&self, run: &mut Run, call: CallId, attempt: u32, running: Running) {
        match run.steps.get_mut(&call) {
            Some(step) if step.attempt == attempt => {
                // Its result may have overtaken this message.
                if let StepState::Running(known) = &mut step.state {
                    *known = running;
                }
            }
            Some(_) => {}
            None => self.stopper.stop(running),
        }
    }

    /// A step said how far it is: the newest detail is written next.
    pub(super) fn heartbeat(run: &mut Run, call: CallId, detail: Arc<str>) {
        let is_running = run.steps.get(&call);
        if !is_running.is_some_and(|step| matches!(step.state, StepState::Running(_))) {
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
    pub(super) fn ended(&mut self, run: &mut Run, call: CallId, ended: StepRun) -> bool {
        let Some(step) = run.steps.get_mut(&call) else { return Self::stays(run) };
        let StepRun { outcome, failed } = ended;
        let again = failed.filter(|failed| failed.retryable);
        let wait = again.as_ref().and_then(|_| {
            let chance = self.fraction();
            step.retry.wait(step.attempt, chance)
        });
        if wait.is_some() && run.actor.is_blocked() {
            // No result yet: whoever goes on with the run tries again.
            run.steps.remove(&call);
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
