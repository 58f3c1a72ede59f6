//! How runs come into a workflow thread's memory: started, or read back.

use std::sync::Arc;

use rand_chacha::rand_core::RngCore as _;

use super::message::Ticket;
use super::run::Run;
use super::thread::WorkflowThread;
use crate::error::{Error, ErrorKind};
use crate::model::{
    CallId, Event, MismatchPolicy, RunId, StoredRun, Successor, WorkflowDefinition, WorkflowFuture,
};
use crate::store::{Damage, NewRun};
use crate::turn::{Actor, Fault, Identity, RunInfo, Target, rehearse, second_opinion};

impl WorkflowThread {
    fn identity(&self, workflow: &str) -> Identity {
        let build = Arc::clone(&self.shared.parts.settings.build);
        Identity { writer: self.shared.parts.writer, build, workflow: workflow.into() }
    }

    /// Runs that are started share theirs.
    fn shared_identity(&mut self, workflow: &'static str) -> Arc<Identity> {
        if let Some(known) = self.identities.get(workflow) {
            return Arc::clone(known);
        }
        let new = Arc::new(self.identity(workflow));
        self.identities.insert(workflow, Arc::clone(&new));
        new
    }

    /// `of`: the name of its workflow, and its workflow id.
    fn info(
        &self,
        run: RunId,
        of: (&Arc<str>, Arc<str>),
        seed: i64,
        meta: Option<Arc<str>>,
    ) -> RunInfo {
        let settings = &self.shared.parts.settings;
        let (payload_limit, history_limit) = (settings.limits.payload, settings.max_history);
        let (workflow, id) = (Arc::clone(of.0), of.1);
        RunInfo {
            run,
            workflow,
            id,
            seed,
            meta,
            payload_limit,
            history_limit,
            strict: settings.strict_arguments,
            generation: 1,
            parent: None,
            mailbox_limit: settings.max_mailbox,
        }
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

    /// A client starts a run. Without a free slot it waits in the store.
    pub(super) fn start(&mut self, new: NewRun) {
        let NewRun { run, workflow, id, args, meta, accepted } = new;
        if self.draining {
            let error = Error::new(ErrorKind::ShutDown, "the runtime is being shut down");
            // Who asked may have given up.
            let _gone = accepted.send(Err(error));
            return;
        }
        let seed = i64::from_ne_bytes(self.chance.next_u64().to_ne_bytes());
        let identity = self.shared_identity(workflow);
        let info = self.info(run, (&identity.workflow, id), seed, meta);
        // What another program runs waits for it.
        let definition = self.shared.parts.registry.find(workflow);
        let has_slot = definition.is_some() && self.shared.run_slots.take(1) == 1;
        self.lane().state().asked.insert(run, accepted);
        let actor = if has_slot {
            self.lane().add_slots(1);
            self.lane().begin_turn(run);
            let begun = self.begin(definition, &args);
            let actor = Actor::start(info, identity, args, begun, self.now);
            if !self.end_turn() {
                return;
            }
            actor
        } else {
            Actor::queued(info, identity, args, self.now)
        };
        let mut held = Run::new(actor, seed);
        held.has_slot = has_slot;
        let ticket = self.insert(held);
        self.with(ticket, |_, _| true);
    }

    /// A run that was claimed.
    pub(super) fn recover(&mut self, stored: &StoredRun) {
        match self.held(stored.record.run) {
            Some(held) => {
                // Claimed while its park was on its way: it has left, as far
                // as the store knows.
                held.claimed_again = true;
                self.shared.run_slots.give_back(1);
            }
            None => self.take_in(stored),
        }
    }

    /// A run that was read while it may have been in memory. If it has left
    /// since, what was read may be of before: its last step would run again.
    pub(super) fn reread(&mut self, stored: &StoredRun) {
        let run = stored.record.run;
        let has_left = self.lane().state().left.remove(&run);
        if !has_left && self.held(run).is_none() {
            return self.take_in(stored);
        }
        self.shared.run_slots.give_back(1);
        if has_left {
            self.reload(run);
        }
    }

    /// A run that the thread before this one had.
    pub(super) fn read_back(&mut self, stored: &StoredRun) {
        match self.held(stored.record.run) {
            // Its claim was still on its way to the lane.
            Some(_) => self.shared.run_slots.give_back(1),
            None => self.take_in(stored),
        }
    }

    fn take_in(&mut self, stored: &StoredRun) {
        let record = &stored.record;
        let definition = self.shared.parts.registry.find(&record.workflow);
        let (id, meta) = (Arc::clone(&record.id), record.meta.clone());
        let info = RunInfo {
            generation: record.generation,
            parent: record.parent.map(|(run, _)| run),
            ..self.info(record.run, (&record.workflow, id), record.seed, meta)
        };
        let identity = self.identity(&record.workflow);
        self.lane().add_slots(1);
        self.lane().begin_turn(record.run);
        let begun = self.begin(definition, &record.args);
        let mut actor = Actor::recover(info.clone(), identity, stored, begun, self.now);
        self.judge(&mut actor, &info, stored);
        if !self.end_turn() {
            return;
        }
        let mut run = Run::new(actor, record.seed);
        run.records = stored.attempts.iter().map(|one| (one.call, one.clone())).collect();
        run.adopted = self.lane().underway.of_run(record.run);
        run.mail.clone_from(&stored.mail);
        let ticket = self.insert(run);
        self.with(ticket, |thread, run| {
            if run.actor.is_blocked() {
                thread.keep_adopted(run);
            }
            thread.deliver_overdue(run);
            thread.settle_dropped(run);
            thread.stop_unwanted(run);
            let frontier = run.actor.frontier();
            thread.launch(ticket, run, frontier);
            true
        });
    }

    /// Where code and history disagree: whether the code itself is at fault, and
    /// what its workflow wants done.
    fn judge(&mut self, actor: &mut Actor, info: &RunInfo, stored: &StoredRun) {
        let record = &stored.record;
        let Some(definition) = self.shared.parts.registry.find(&record.workflow) else { return };
        let Some(mismatch) = actor.mismatch() else { return };
        let again = || {
            self.begin(Some(definition), &record.args)
                .and_then(|future| rehearse(info.clone(), future, record, &stored.history))
        };
        let proven = second_opinion(mismatch, again);
        if let Some(fault) = &proven {
            actor.blocked_for(fault);
        }
        let was_blocked = record.open.as_ref().is_some_and(|open| open.blocked.is_some());
        match definition.on_mismatch {
            MismatchPolicy::Block => {}
            MismatchPolicy::Fail => actor.end_for_mismatch(was_blocked, None),
            // What is not deterministic would be restarted after every crash.
            MismatchPolicy::Restart if proven.is_some() => {}
            MismatchPolicy::Restart => {
                let anew = Successor {
                    workflow: definition.named.name.into(),
                    args: Arc::clone(&record.args),
                    seed: i64::from_ne_bytes(self.chance.next_u64().to_ne_bytes()),
                    meta: record.meta.clone(),
                };
                actor.end_for_mismatch(was_blocked, Some(anew));
            }
        }
    }

    /// A stored run whose rows cannot be read is set aside.
    pub(super) fn damaged(&mut self, number: RunId, damage: Damage) {
        let Damage { workflow, id, reason } = damage;
        self.aside(number, &workflow, id.into(), &[], &Fault::Corrupt(reason));
    }

    /// A run whose turn does not return is set aside. What its steps give, and
    /// gave in the turn that was not written, is kept.
    pub(super) fn stuck(&mut self, stored: &StoredRun) {
        let (record, history) = (&stored.record, &stored.history);
        let id = Arc::clone(&record.id);
        let aside = self.aside(record.run, &record.workflow, id, history, &Fault::StuckTurn);
        let Some(ticket) = aside else { return };
        self.with(ticket, |thread, run| {
            run.adopted = thread.lane().underway.of_run(ticket.run);
            thread.keep_adopted(run);
            true
        });
    }

    /// Sets a run aside without running it.
    fn aside(
        &mut self,
        number: RunId,
        workflow: &str,
        id: Arc<str>,
        history: &[Event],
        fault: &Fault,
    ) -> Option<Ticket> {
        if self.held(number).is_some() {
            self.shared.run_slots.give_back(1);
            return None;
        }
        let identity = self.identity(workflow);
        let info = self.info(number, (&identity.workflow, id), 0, None);
        let actor = Actor::aside(info, identity, history, fault, self.now);
        self.lane().add_slots(1);
        let ticket = self.insert(Run::new(actor, 0));
        self.with(ticket, |_, _| true);
        Some(ticket)
    }

    /// Attempts of runs that did not come back end: they were terminated, or
    /// cannot be read.
    pub(super) fn stop_unknown(&mut self) {
        for run in self.lane().underway.runs() {
            if self.held(run).is_none() {
                self.stopper.stop_run(run);
            }
        }
    }

    /// At a recovered frontier, timers that are due come before any step.
    fn deliver_overdue(&mut self, run: &mut Run) {
        let due = |call: &CallId| {
            let Target::Timer { due } = run.actor.call(*call)?.target else { return None };
            (due <= self.now).then_some((due, *call))
        };
        let mut overdue: Vec<_> = run.actor.waiting_calls().iter().filter_map(due).collect();
        overdue.sort_unstable();
        for (_, call) in overdue {
            self.deliver_timer(run, call);
        }
    }
}
