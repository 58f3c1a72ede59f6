//! What an actor does with an event: a turn, and what is recorded of it.

use std::sync::{Arc, LazyLock};

use super::{Actor, Identity, Row};
use crate::clock::Timestamp;
use crate::error::{Failure, FailureKind};
use crate::model::{
    Args, Block, CallId, Command, Decision, Decisions, Encoded, End, Ended, Event, EventKind,
    Start, StepOutcome, Successor,
};
use crate::turn::Fault;
use crate::turn::instance::Turn;

impl Actor {
    /// Delivers an outcome in a turn of its own. False: nobody waits for it
    /// any more, and it is discarded.
    pub(crate) fn deliver(&mut self, call: CallId, outcome: StepOutcome, now: Timestamp) -> bool {
        let now = now.max(self.last);
        let Some(instance) = self.instance.as_mut() else { return false };
        let Some(spec) = instance.call(call) else { return false };
        if !instance.wants(call) {
            return false;
        }
        let (kind, name) = (EventKind::of(spec.kind()), spec.name);
        let payload = (kind != EventKind::Timer).then(|| Arc::clone(&outcome.text));
        let turn = instance.deliver(call, outcome, now);
        let mut row =
            Row { kind, call: Some(call), name: name.into(), payload, decided: None, at: now };
        match turn {
            Ok(turn) => {
                row.decided = Some(self.stage(turn, now));
                self.push(row);
            }
            Err(fault) => {
                // The outcome is kept; a build that can go on delivers it.
                self.push(row);
                self.block(&fault, now);
            }
        }
        true
    }

    /// Keeps an outcome that arrives while the run is blocked.
    pub(crate) fn keep(
        &mut self,
        call: CallId,
        name: &'static str,
        outcome: &StepOutcome,
        now: Timestamp,
    ) {
        let (at, payload) = (now.max(self.last), Some(Arc::clone(&outcome.text)));
        let name = name.into();
        self.push(Row {
            kind: EventKind::Step,
            call: Some(call),
            name,
            payload,
            decided: None,
            at,
        });
    }

    /// Delivers a cancellation, once.
    ///
    /// # Errors
    ///
    /// The code cannot go on; the event is kept.
    pub(super) fn cancel(&mut self, command: &Command, now: Timestamp) -> Result<(), Fault> {
        let at = now.max(self.last);
        let Some(instance) = self.instance.as_mut() else { return Ok(()) };
        if command.number <= self.obeyed {
            return Ok(());
        }
        (self.obeyed, self.next.obeys) = (command.number, command.number);
        let by = command.message();
        let payload = serde_json::Value::String(by.clone()).to_string();
        let turn = instance.cancel(by, at);
        let mut row = Row {
            kind: EventKind::Cancelled,
            call: None,
            name: "".into(),
            payload: Some(payload.into()),
            decided: None,
            at,
        };
        let fault = match turn {
            Ok(turn) => {
                row.decided = Some(self.stage(turn, at));
                None
            }
            Err(fault) => Some(fault),
        };
        self.push(row);
        fault.map_or(Ok(()), Err)
    }

    /// Somebody cancelled the run.
    pub(crate) fn cancelled(&mut self, command: &Command, now: Timestamp) {
        if let Err(fault) = self.cancel(command, now) {
            self.block(&fault, now.max(self.last));
        }
    }

    pub(super) fn push(&mut self, row: Row) {
        let Row { kind, call, name, payload, decided, at } = row;
        let (seq, writer) = (self.next_seq, self.identity.writer);
        self.next_seq += 1;
        self.last = at;
        if self.next.events.is_empty() {
            // Mostly it stays the only one.
            self.next.events.reserve_exact(1);
        }
        self.next.events.push(Event { seq, kind, call, name, payload, decided, writer, at });
        self.next.progress |= std::mem::take(&mut self.suspected);
        self.check_length(seq, at);
    }

    /// A history that grows without end would be replayed without end.
    fn check_length(&mut self, seq: u32, at: Timestamp) {
        let (limit, id) = (self.history_limit, &self.id);
        if seq == limit / 5 * 4 {
            tracing::warn!(%id, events = seq, limit, "the history of the run nears its limit");
        }
        if seq < limit || self.next.end.is_some() || self.instance.is_none() {
            return;
        }
        let message = format!(
            "the history reached its limit of {limit} events: go on with \
             `workflow::restart_with`, split the work into several runs, or raise `max_history` of \
             the builder"
        );
        let failure = Failure::of_kind(FailureKind::HistoryFull, message);
        let output = serde_json::json!({ "failure": failure }).to_string().into();
        self.next.end = Some(End { how: Ended::Failed, output, at });
        self.dropped.extend(self.waiting_calls());
        self.made.clear();
        let before = self.next.traffic.take();
        self.leave_others();
        self.next.last_traffic = self.next.traffic.take();
        self.join_traffic(before);
        self.instance = None;
    }

    /// Takes over what a turn decided; returns it as it is recorded.
    pub(super) fn stage(&mut self, turn: Turn, at: Timestamp) -> Arc<str> {
        let mut decided = String::new();
        if let Some(instance) = &self.instance {
            let slots = instance.slots(turn.created.clone());
            for (slot, call) in slots.iter().zip(turn.created.clone()) {
                let (call, spec) = (CallId(call), &slot.spec);
                let texts = spec.name.len() + spec.args.len() + spec.at.file().len();
                decided.reserve(DECISION + texts);
                decided.push(if decided.is_empty() { '[' } else { ',' });
                let (hash, at) = (spec.hash, Some(spec.at));
                let args = Args { text: &spec.args, hash, at };
                Decision::write(&mut decided, call, spec.kind(), spec.name, args);
                if instance.is_waiting(call) {
                    self.made.push(call);
                }
            }
        }
        // What the turn that ends the run asks for goes in only with the end.
        let mut before = self.next.traffic.take();
        self.ask_others(turn.created.clone(), at);
        self.show(turn.shown);
        for id in &turn.patched {
            decided.push(if decided.is_empty() { '[' } else { ',' });
            Decisions::write_note(&mut decided, "patched", id);
        }
        if self.decided_by.as_ref() != Some(&self.identity.build) {
            decided.push(if decided.is_empty() { '[' } else { ',' });
            Decisions::write_note(&mut decided, "build", &self.identity.build);
            self.decided_by = Some(Arc::clone(&self.identity.build));
        }
        for call in turn.dropped {
            self.withdraw(call, before.as_deref_mut());
            // Made and dropped before anything was written: it never starts.
            self.made.retain(|made| *made != call);
            self.dropped.push(call);
        }
        if let Some(Encoded { text, how, successor }) = turn.ended {
            self.leave_others();
            self.next.last_traffic = self.next.traffic.take();
            self.next.end = Some(End { how, output: text, at });
            self.succeed(successor.map(|successor| *successor), at);
            self.instance = None;
        }
        self.join_traffic(before);
        if decided.is_empty() {
            return nothing_decided();
        }
        decided.push(']');
        decided.into()
    }

    /// The end makes another generation.
    pub(super) fn succeed(&mut self, successor: Option<Successor>, at: Timestamp) {
        self.next.successor = successor.map(|Successor { workflow, args, seed, meta }| {
            let (id, decided, queued) = (Arc::clone(&self.id), None, true);
            Box::new(Start { workflow, id, args, seed, decided, meta, parent: None, queued, at })
        });
    }

    pub(super) fn block(&mut self, fault: &Fault, at: Timestamp) {
        let Identity { build, workflow, .. } = &*self.identity;
        self.mismatch = fault.mismatch().cloned().map(Box::new);
        let report = fault.report(workflow, &self.id, build, at);
        tracing::error!(workflow = %workflow, id = %self.id, "{report}");
        let build = Arc::clone(build);
        let report = report.to_json().into();
        self.next.block = Some(Box::new(Block { build, report, at }));
        self.next.unblock = false;
        self.instance = None;
        self.blocked = true;
        self.made.clear();
    }
}

/// Bytes of a decision beside its name, its arguments and its place.
const DECISION: usize = 128;

/// What most turns decide; shared, because it is so often.
fn nothing_decided() -> Arc<str> {
    static NOTHING: LazyLock<Arc<str>> = LazyLock::new(|| "[]".into());
    Arc::clone(&NOTHING)
}
