//! What a workflow thread does with each message.

use std::sync::Arc;

use rand_chacha::rand_core::RngCore as _;
use tokio::task::AbortHandle;

use super::launch::Launch;
use super::message::Ticket;
use super::run::{Run, Step, StepState};
use super::thread::WorkflowThread;
use crate::error::{Error, ErrorKind};
use crate::model::{
    Answer, CallId, FailedAttempt, RunId, StepRun, StoredRun, WorkflowDefinition, WorkflowFuture,
};
use crate::step::StepContext;
use crate::store::{Accepted, Damage, NewRun};
use crate::turn::{Actor, Effects, Fate, Fault, Identity, RunInfo, Target};

impl WorkflowThread {
    fn identity(&self, workflow: &str) -> Identity {
        let build = Arc::clone(&self.shared.parts.settings.build);
        Identity { writer: self.shared.parts.writer, build, workflow: workflow.into() }
    }

    fn info(&self, run: RunId, id: Arc<str>, seed: i64) -> RunInfo {
        RunInfo { run, id, seed, payload_limit: self.shared.parts.settings.limits.payload }
    }

    fn begin(
        &self,
        definition: Option<&'static WorkflowDefinition>,
        args: &str,
    ) -> Result<WorkflowFuture, Fault> {
        let definition = definition.ok_or(Fault::Unregistered)?;
        let limits = self.shared.parts.settings.limits;
        let begun = crate::panics::catch(|| (definition.begin)(args, limits));
        let begun = begun.map_err(Fault::Panicked)?;
        begun.map_err(|error| Fault::Undecodable { what: "its arguments".to_owned(), error })
    }

    pub(super) fn start(&mut self, new: NewRun) {
        let NewRun { run, workflow, id, args, accepted } = new;
        if self.draining {
            let error = Error::new(ErrorKind::ShutDown, "the runtime is being shut down");
            // Who asked may have given up.
            let _gone = accepted.send(Err(error));
            return;
        }
        let seed = i64::from_ne_bytes(self.chance.next_u64().to_ne_bytes());
        let begun = self.begin(self.shared.parts.registry.find(workflow), &args);
        let (info, identity) = (self.info(run, id, seed), self.identity(workflow));
        let actor = Actor::start(info, identity, args, begun, self.now);
        let mut held = Run::new(actor, seed);
        held.accepted = Some(accepted);
        let ticket = self.insert(held);
        self.with(ticket, |_, _| true);
    }

    pub(super) fn recover(&mut self, stored: &StoredRun) {
        let record = &stored.record;
        if self.holds(record.run) {
            return;
        }
        let definition = self.shared.parts.registry.find(&record.workflow);
        let begun = self.begin(definition, &record.args);
        let info = self.info(record.run, Arc::clone(&record.id), record.seed);
        let identity = self.identity(&record.workflow);
        let actor = Actor::recover(info, identity, stored, begun, self.now);
        let mut run = Run::new(actor, record.seed);
        let failed = stored.failed_attempts.iter();
        run.failed = failed.map(|f| (f.call, (f.attempt, f.retry_at))).collect();
        let ticket = self.insert(run);
        self.with(ticket, |thread, run| {
            thread.deliver_overdue(run);
            let frontier = run.actor.frontier();
            thread.launch(ticket, run, frontier);
            true
        });
    }

    pub(super) fn damaged(&mut self, number: RunId, damage: Damage) {
        if self.holds(number) {
            return;
        }
        let Damage { workflow, id, reason } = damage;
        let info = self.info(number, id.into(), 0);
        let identity = self.identity(&workflow);
        let actor = Actor::aside(info, identity, &Fault::Corrupt(reason), self.now);
        let ticket = self.insert(Run::new(actor, 0));
        self.with(ticket, |_, _| true);
    }

    /// At a recovered frontier, timers that are due come before any step.
    fn deliver_overdue(&mut self, run: &mut Run) {
        let due = |call: &CallId| match run.actor.call(*call)?.target {
            Target::Timer { due } if due <= self.now => Some((due, *call)),
            Target::Timer { .. } | Target::Step { .. } => None,
        };
        let mut overdue: Vec<_> = run.actor.waiting_calls().iter().filter_map(due).collect();
        overdue.sort_unstable();
        for (_, call) in overdue {
            self.deliver_timer(run, call);
        }
    }

    fn deliver_timer(&self, run: &mut Run, call: CallId) {
        // A timer that a turn just before dropped is discarded.
        run.actor.deliver(call, Arc::<str>::from("null").into(), self.now);
    }

    /// Starts calls that are durable.
    fn launch(&mut self, ticket: Ticket, run: &mut Run, calls: Vec<CallId>) {
        for call in calls {
            let Some(spec) = run.actor.call(call) else { continue };
            let (definition, retry, timeout) = match spec.target {
                Target::Timer { due } => {
                    run.timers.insert(call, due);
                    continue;
                }
                Target::Step { definition: Some(definition), retry, timeout } => {
                    (definition, retry, timeout)
                }
                Target::Step { definition: None, .. } => continue,
            };
            let failed = run.failed.get(&call).copied();
            let step = Step {
                definition,
                args: Arc::clone(&spec.args),
                retry: retry.unwrap_or(definition.retry),
                timeout: timeout.or(definition.timeout),
                attempt: failed.map_or(1, |(attempts, _)| attempts.saturating_add(1)),
                state: StepState::BackOff(failed.map_or(self.now, |(_, retry_at)| retry_at)),
            };
            run.steps.insert(call, step);
            self.attempt(ticket, run, call);
        }
    }

    /// Makes the next attempt of a step, if it is due.
    fn attempt(&mut self, ticket: Ticket, run: &mut Run, call: CallId) {
        let context = StepContext {
            workflow_id: Arc::clone(run.actor.id()),
            run: ticket.run,
            seed: run.seed,
            call,
            attempt: 1,
        };
        let Some(step) = run.steps.get_mut(&call) else { return };
        let due = matches!(step.state, StepState::BackOff(until) if until <= self.now);
        if !due || self.draining {
            return;
        }
        step.state = StepState::Running(None);
        self.launches.push(Launch {
            ticket,
            definition: step.definition,
            args: Arc::clone(&step.args),
            timeout: step.timeout,
            context: StepContext { attempt: step.attempt, ..context },
        });
    }

    pub(super) fn spawned(run: &mut Run, call: CallId, task: AbortHandle) {
        match run.steps.get_mut(&call).map(|step| &mut step.state) {
            Some(StepState::Running(abort)) => *abort = Some(task),
            // Its result overtook this message, or it was dropped.
            Some(StepState::Recording | StepState::BackOff(_)) => {}
            None => task.abort(),
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
            let failed = FailedAttempt {
                call,
                attempt: step.attempt,
                error: failed.message.into(),
                retry_at: self.now + wait,
            };
            step.state = StepState::Recording;
            run.failed.insert(call, (failed.attempt, failed.retry_at));
            run.actor.attempt_failed(failed);
            return true;
        }
        let name = step.definition.named.name;
        run.steps.remove(&call);
        if run.failed.remove(&call).is_some() {
            run.actor.settle(call);
        }
        if run.actor.is_blocked() {
            run.actor.keep(call, name, &outcome, self.now);
        } else {
            run.actor.deliver(call, outcome, self.now);
        }
        self.settle_dropped(run);
        Self::stays(run)
    }

    /// Failed attempts of steps that nobody waits for any more go too.
    fn settle_dropped(&self, run: &mut Run) {
        if run.failed.is_empty() || run.actor.is_blocked() {
            return;
        }
        let gone: Vec<_> =
            run.failed.keys().copied().filter(|call| !run.actor.is_waiting(*call)).collect();
        for call in gone {
            run.failed.remove(&call);
            run.actor.settle(call);
        }
    }

    /// A blocked run stays while its steps run: their results are kept.
    fn stays(run: &Run) -> bool {
        !run.actor.is_blocked() || run.is_busy() || !run.actor.is_idle()
    }

    pub(super) fn answered(&mut self, ticket: Ticket, run: &mut Run, answer: Answer) -> bool {
        let Effects { accepted, launch, abort, retry, fate } = run.actor.answered(answer, self.now);
        if accepted {
            Self::accept(run, Ok(Accepted::Started));
        }
        for call in abort {
            run.abort(call);
        }
        for FailedAttempt { call, retry_at, .. } in retry {
            if let Some(step) = run.steps.get_mut(&call) {
                step.attempt += 1;
                step.state = StepState::BackOff(retry_at);
                self.attempt(ticket, run, call);
            }
        }
        match fate {
            None => {
                self.launch(ticket, run, launch);
                Self::stays(run)
            }
            Some(fate) => self.conclude(ticket, run, fate),
        }
    }

    fn accept(run: &mut Run, what: Result<Accepted, Error>) {
        if let Some(accepted) = run.accepted.take() {
            // Who asked may have given up; the run goes on all the same.
            let _gone = accepted.send(what);
        }
    }

    /// What became of a run; returns whether it stays in memory.
    fn conclude(&mut self, ticket: Ticket, run: &mut Run, fate: Fate) -> bool {
        match fate {
            Fate::Ended(end) => self.shared.parts.endings.tell(ticket.run, end),
            Fate::Parked => {
                self.shared.parts.endings.leave(ticket.run);
                self.shared.claim.notify_one();
            }
            Fate::Blocked => {
                self.shared.parts.endings.leave(ticket.run);
                return Self::stays(run);
            }
            Fate::Taken(holder) => Self::accept(run, Ok(Accepted::Taken(holder))),
            Fate::Refused(reason) => {
                let message = format!("the store refuses the start: {reason}");
                Self::accept(run, Err(Error::new(ErrorKind::Unstorable, message)));
            }
            Fate::Lost(answer) => {
                tracing::error!(
                    id = %run.actor.id(),
                    "the store does not have what this process wrote ({answer:?}): the run is \
                     read again"
                );
                self.reload(ticket.run);
            }
        }
        false
    }

    /// Something of the run is due, or it has waited long enough to leave
    /// memory.
    pub(super) fn alarm(&mut self, ticket: Ticket, run: &mut Run) -> bool {
        for call in run.due_timers(self.now) {
            self.deliver_timer(run, call);
        }
        self.settle_dropped(run);
        // A timer just now may have dropped some.
        for call in run.due_attempts(self.now) {
            if !run.actor.is_waiting(call) {
                run.steps.remove(&call);
                continue;
            }
            self.attempt(ticket, run, call);
        }
        let Some(since) = run.idle_since.filter(|_| run.only_waits()) else { return true };
        let park_after = self.shared.parts.settings.park_after;
        if let Some(due) = run.next_due()
            && since + park_after <= self.now
            && self.now < due
        {
            run.timers.clear();
            run.steps.clear();
            run.actor.park(due);
        }
        true
    }
}
