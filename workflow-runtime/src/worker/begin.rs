//! How runs come into a workflow thread's memory: started, or read back.

use std::sync::Arc;

use rand_chacha::rand_core::RngCore as _;

use super::run::Run;
use super::thread::WorkflowThread;
use crate::error::{Error, ErrorKind};
use crate::model::{CallId, RunId, StoredRun, WorkflowDefinition, WorkflowFuture};
use crate::store::{Damage, NewRun};
use crate::turn::{Actor, Fault, Identity, RunInfo, Target};

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

    fn info(&self, run: RunId, id: Arc<str>, seed: i64, meta: Option<Arc<str>>) -> RunInfo {
        let settings = &self.shared.parts.settings;
        let (payload_limit, history_limit) = (settings.limits.payload, settings.max_history);
        RunInfo { run, id, seed, meta, payload_limit, history_limit }
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
        let (info, identity) = (self.info(run, id, seed, meta), self.shared_identity(workflow));
        let has_slot = self.shared.run_slots.take(1) == 1;
        self.lane().state().asked.insert(run, accepted);
        let actor = if has_slot {
            self.lane().add_slots(1);
            self.lane().begin_turn(run);
            let begun = self.begin(self.shared.parts.registry.find(workflow), &args);
            let actor = Actor::start(info, identity, args, begun, self.now);
            self.lane().end_turn(self.generation);
            actor
        } else {
            Actor::queued(info, identity, args, self.now)
        };
        let mut held = Run::new(actor, seed);
        held.has_slot = has_slot;
        let ticket = self.insert(held);
        self.with(ticket, |_, _| true);
    }

    pub(super) fn recover(&mut self, stored: &StoredRun) {
        let record = &stored.record;
        if let Some(held) = self.held(record.run) {
            // Claimed while its park was on its way: it has left, as far as
            // the store knows.
            held.claimed_again = true;
            self.shared.run_slots.give_back(1);
            return;
        }
        let definition = self.shared.parts.registry.find(&record.workflow);
        let begun = self.begin(definition, &record.args);
        let (id, meta) = (Arc::clone(&record.id), record.meta.clone());
        let info = self.info(record.run, id, record.seed, meta);
        let identity = self.identity(&record.workflow);
        self.lane().add_slots(1);
        self.lane().begin_turn(record.run);
        let actor = Actor::recover(info, identity, stored, begun, self.now);
        self.lane().end_turn(self.generation);
        let mut run = Run::new(actor, record.seed);
        run.records = stored.attempts.iter().map(|one| (one.call, one.clone())).collect();
        let ticket = self.insert(run);
        self.with(ticket, |thread, run| {
            thread.deliver_overdue(run);
            thread.settle_dropped(run);
            let frontier = run.actor.frontier();
            thread.launch(ticket, run, frontier);
            true
        });
    }

    /// A stored run whose rows cannot be read is set aside.
    pub(super) fn damaged(&mut self, number: RunId, damage: Damage) {
        let Damage { workflow, id, reason } = damage;
        self.aside(number, &workflow, id.into(), &Fault::Corrupt(reason));
    }

    /// Sets a run aside without running it.
    pub(super) fn aside(&mut self, number: RunId, workflow: &str, id: Arc<str>, fault: &Fault) {
        if self.held(number).is_some() {
            self.shared.run_slots.give_back(1);
            return;
        }
        let (info, identity) = (self.info(number, id, 0, None), self.identity(workflow));
        let actor = Actor::aside(info, identity, fault, self.now);
        self.lane().add_slots(1);
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
}
