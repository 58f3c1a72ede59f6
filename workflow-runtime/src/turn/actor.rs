//! The protocol of one run: commit, then act.
//!
//! The actor takes outcomes, runs a turn for each, and collects what the turns
//! decided into one item. At most one item is on its way to the store; only
//! when it is durable do the calls it made start and the calls it dropped stop.

use std::sync::Arc;

use super::Fault;
use super::instance::{Instance, Turn};
use super::replay::replay;
use super::table::{CallSpec, RunInfo, Target};
use crate::clock::Timestamp;
use crate::model::{
    Answer, Args, Block, CallId, Decision, Encoded, End, Event, EventKind, FailedAttempt, Item,
    RunId, Start, StepOutcome, StoredRun, WorkflowFuture, WriterId,
};

/// Who runs what.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) writer: WriterId,
    pub(crate) build: Arc<str>,
    pub(crate) workflow: Arc<str>,
}

/// What an answer of the store sets free.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// The start is durable.
    pub(crate) accepted: bool,
    /// Start these: steps run, timers are armed.
    pub(crate) launch: Vec<CallId>,
    /// Stop these.
    pub(crate) abort: Vec<CallId>,
    /// Another attempt of these may follow.
    pub(crate) retry: Vec<FailedAttempt>,
    /// What became of the run, if that is decided now.
    pub(crate) fate: Option<Fate>,
}

/// What became of a run in memory.
#[derive(Debug)]
pub(crate) enum Fate {
    /// Ended, durably.
    Ended(End),
    /// It left memory until it is due.
    Parked,
    /// Set aside, durably.
    Blocked,
    /// The workflow id belongs to another run; this one never was.
    Taken(RunId),
    /// The store cannot take the start; the reason.
    Refused(String),
    /// This memory of the run is not what the store has: drop it.
    Lost(Answer),
}

pub(crate) struct Actor {
    run: RunId,
    id: Arc<str>,
    identity: Identity,
    /// None once the run is blocked or ended.
    instance: Option<Instance>,
    /// The seq of the next row.
    next_seq: u32,
    /// The time of the last turn.
    last: Timestamp,
    /// What is to be written next.
    next: Item,
    /// What is on its way to the store sets these free.
    sent: Sent,
    in_flight: bool,
    /// Calls made and dropped by turns in `next`.
    made: Vec<CallId>,
    dropped: Vec<CallId>,
    blocked: bool,
}

/// What the item on its way holds back.
#[derive(Default)]
struct Sent {
    start: bool,
    /// The seq of its first row.
    first_seq: u32,
    made: Vec<CallId>,
    dropped: Vec<CallId>,
    retry: Vec<FailedAttempt>,
    end: Option<End>,
    park: Option<Timestamp>,
    block: bool,
}

/// A row without its place in the history.
struct Row {
    kind: EventKind,
    call: Option<CallId>,
    name: Arc<str>,
    payload: Option<Arc<str>>,
    decided: Option<Arc<str>>,
    at: Timestamp,
}

impl Actor {
    fn new(info: RunInfo, identity: Identity, future: Option<WorkflowFuture>) -> Self {
        let (run, id) = (info.run, Arc::clone(&info.id));
        let next = Item::new(run, identity.writer);
        Self {
            run,
            id,
            identity,
            instance: future.map(|future| Instance::new(info, future)),
            next_seq: 1,
            last: Timestamp::default(),
            next,
            sent: Sent::default(),
            in_flight: false,
            made: Vec::new(),
            dropped: Vec::new(),
            blocked: false,
        }
    }

    /// A new run: its first turn runs before its start is durable.
    pub(crate) fn start(
        info: RunInfo,
        identity: Identity,
        args: Arc<str>,
        begun: Result<WorkflowFuture, Fault>,
        now: Timestamp,
    ) -> Self {
        let (id, seed) = (Arc::clone(&info.id), info.seed);
        let workflow = Arc::clone(&identity.workflow);
        let (future, fault) = match begun {
            Ok(future) => (Some(future), None),
            Err(fault) => (None, Some(fault)),
        };
        let mut actor = Self::new(info, identity, future);
        actor.last = now;
        actor.next.start = Some(Start { workflow, id, args, seed, decided: None, at: now });
        let turn = match (fault, actor.instance.as_mut()) {
            (None, Some(instance)) => instance.turn(now),
            (fault, _) => Err(fault.unwrap_or(Fault::Gone)),
        };
        match turn {
            Ok(turn) => {
                let decided = actor.stage(turn, now);
                if let Some(start) = &mut actor.next.start {
                    start.decided = Some(decided);
                }
            }
            Err(fault) => actor.block(&fault, now),
        }
        actor
    }

    /// Goes on with a stored run: replays its history, then delivers what was
    /// stored without being delivered.
    ///
    /// The actor is blocked if this code cannot go on with it.
    pub(crate) fn recover(
        info: RunInfo,
        identity: Identity,
        stored: &StoredRun,
        begun: Result<WorkflowFuture, Fault>,
        now: Timestamp,
    ) -> Self {
        let (future, fault) = match begun {
            Ok(future) => (Some(future), None),
            Err(fault) => (None, Some(fault)),
        };
        let mut actor = Self::new(info, identity, future);
        actor.last = stored.record.created;
        actor.next_seq = stored.history.last().map_or(1, |event| event.seq.saturating_add(1));
        let recovered = match fault {
            Some(fault) => Err(fault),
            None => actor.replay(stored, now),
        };
        match recovered {
            Ok(()) => {
                let open = stored.record.open.as_ref();
                actor.next.unblock = open.is_some_and(|open| open.blocked.is_some());
            }
            Err(fault) => actor.block(&fault, now),
        }
        actor
    }

    /// Sets a stored run aside without running it.
    pub(crate) fn aside(info: RunInfo, identity: Identity, fault: &Fault, now: Timestamp) -> Self {
        let mut actor = Self::new(info, identity, None);
        actor.block(fault, now);
        actor
    }

    fn replay(&mut self, stored: &StoredRun, now: Timestamp) -> Result<(), Fault> {
        let instance = self.instance.as_mut().ok_or(Fault::Gone)?;
        let frontier = replay(instance, &stored.record, &stored.history)?;
        self.next_seq = frontier.next_seq;
        self.last = frontier.last;
        self.made = instance.waiting_calls();
        for event in frontier.undelivered {
            let at = self.last.max(now);
            let instance = self.instance.as_mut().ok_or(Fault::Gone)?;
            let turn = event.deliver(instance, at)?;
            let decided = self.stage(turn, at);
            self.push(Row {
                kind: EventKind::Begun,
                call: None,
                name: "".into(),
                payload: None,
                decided: Some(decided),
                at,
            });
            if self.next.end.is_some() {
                break;
            }
        }
        // What a turn just now dropped never starts.
        if let Some(instance) = &self.instance {
            self.made.retain(|call| instance.is_waiting(*call));
        }
        Ok(())
    }

    /// Delivers an outcome in a turn of its own. False: nobody waits for it
    /// any more, and it is discarded.
    pub(crate) fn deliver(&mut self, call: CallId, outcome: StepOutcome, now: Timestamp) -> bool {
        let now = now.max(self.last);
        let Some(instance) = self.instance.as_mut() else { return false };
        let Some(spec) = instance.call(call) else { return false };
        if !instance.is_waiting(call) {
            return false;
        }
        let (kind, name) = match spec.target {
            Target::Step { .. } => (EventKind::Step, spec.name),
            Target::Timer { .. } => (EventKind::Timer, spec.name),
        };
        let payload = (kind == EventKind::Step).then(|| Arc::clone(&outcome.text));
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
    pub(crate) fn keep(&mut self, call: CallId, name: &str, outcome: &StepOutcome, now: Timestamp) {
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

    fn push(&mut self, row: Row) {
        let Row { kind, call, name, payload, decided, at } = row;
        let (seq, writer) = (self.next_seq, self.identity.writer);
        self.next_seq += 1;
        self.last = at;
        self.next.events.push(Event { seq, kind, call, name, payload, decided, writer, at });
    }

    /// Takes over what a turn decided; returns it as it is recorded.
    fn stage(&mut self, turn: Turn, at: Timestamp) -> Arc<str> {
        let mut decided = String::from("[");
        if let Some(instance) = &self.instance {
            let slots = instance.slots(turn.created.clone());
            for (slot, call) in slots.iter().zip(turn.created.clone()) {
                if decided.len() > 1 {
                    decided.push(',');
                }
                let (call, spec) = (CallId(call), &slot.spec);
                let args = Args { text: &spec.args, hash: spec.hash };
                Decision::write(&mut decided, call, spec.kind(), spec.name, args);
                if instance.is_waiting(call) {
                    self.made.push(call);
                }
            }
        }
        decided.push(']');
        for call in turn.dropped {
            // Made and dropped before anything was written: it never starts.
            self.made.retain(|made| *made != call);
            self.dropped.push(call);
        }
        if let Some(Encoded { text, ok }) = turn.ended {
            self.next.end = Some(End { ok, output: text, at });
            self.instance = None;
        }
        decided.into()
    }

    fn block(&mut self, fault: &Fault, at: Timestamp) {
        let Identity { build, workflow, .. } = &self.identity;
        let report = fault.report(workflow, &self.id, build, at);
        tracing::error!(workflow = %workflow, id = %self.id, "{report}");
        let build = Arc::clone(build);
        self.next.block = Some(Block { build, report: report.to_json().into(), at });
        self.next.unblock = false;
        self.instance = None;
        self.blocked = true;
        self.made.clear();
    }

    /// Records that an attempt failed; the next one may start when that is
    /// durable.
    pub(crate) fn attempt_failed(&mut self, failed: FailedAttempt) {
        self.next.failed_attempts.push(failed);
    }

    /// The records of a call's failed attempts go with its result.
    pub(crate) fn settle(&mut self, call: CallId) {
        self.next.settled.push(call);
        self.next.failed_attempts.retain(|failed| failed.call != call);
    }

    /// Asks to leave memory until `due`.
    pub(crate) fn park(&mut self, due: Timestamp) {
        self.next.park = Some(due);
    }

    /// What is to be written now, if nothing is on its way.
    pub(crate) fn flush(&mut self) -> Option<Item> {
        if self.in_flight || self.is_nothing_to_write() {
            return None;
        }
        self.in_flight = true;
        let item = std::mem::replace(&mut self.next, Item::new(self.run, self.identity.writer));
        self.sent = Sent {
            start: item.start.is_some(),
            first_seq: item.events.first().map_or(self.next_seq, |event| event.seq),
            made: std::mem::take(&mut self.made),
            dropped: std::mem::take(&mut self.dropped),
            retry: item.failed_attempts.clone(),
            end: item.end.clone(),
            park: item.park,
            block: item.block.is_some(),
        };
        Some(item)
    }

    fn is_nothing_to_write(&self) -> bool {
        let next = &self.next;
        next.start.is_none()
            && next.events.is_empty()
            && next.failed_attempts.is_empty()
            && next.settled.is_empty()
            && next.park.is_none()
            && next.block.is_none()
            && !next.unblock
    }

    /// Takes the answer to the item on its way.
    pub(crate) fn answered(&mut self, answer: Answer, now: Timestamp) -> Effects {
        self.in_flight = false;
        let sent = std::mem::take(&mut self.sent);
        let lost = |fate| Effects { fate: Some(fate), ..Effects::default() };
        match answer {
            Answer::Committed => self.committed(sent),
            Answer::Taken(run) => lost(Fate::Taken(run)),
            Answer::Refused(reason) if sent.start => lost(Fate::Refused(reason)),
            Answer::Refused(reason) if !sent.block => {
                // What was refused is in no history: nothing after it counts.
                self.next = Item::new(self.run, self.identity.writer);
                self.next_seq = sent.first_seq;
                self.block(&Fault::Refused(reason), now);
                Effects::default()
            }
            other @ (Answer::Conflict | Answer::MissingPredecessor | Answer::Refused(_)) => {
                lost(Fate::Lost(other))
            }
        }
    }

    fn committed(&self, sent: Sent) -> Effects {
        let fate = match (sent.end, sent.park) {
            (Some(end), _) => Some(Fate::Ended(end)),
            (None, Some(_)) => Some(Fate::Parked),
            (None, None) => sent.block.then_some(Fate::Blocked),
        };
        // A later turn may have dropped what this commit would start.
        let wanted = |call: &CallId| {
            self.instance.as_ref().is_some_and(|instance| instance.is_waiting(*call))
        };
        let launch = sent.made.into_iter().filter(wanted).collect();
        let retry = sent.retry.into_iter().filter(|failed| wanted(&failed.call)).collect();
        Effects { accepted: sent.start, launch, abort: sent.dropped, retry, fate }
    }

    /// At the frontier of a recovered run: the calls that wait and are not
    /// waiting for a commit, in their order. Taken once.
    pub(crate) fn frontier(&mut self) -> Vec<CallId> {
        if self.next.events.is_empty() { std::mem::take(&mut self.made) } else { Vec::new() }
    }

    /// The calls that wait for an outcome.
    pub(crate) fn waiting_calls(&self) -> Vec<CallId> {
        self.instance.as_ref().map(Instance::waiting_calls).unwrap_or_default()
    }

    pub(crate) fn is_waiting(&self, call: CallId) -> bool {
        self.instance.as_ref().is_some_and(|instance| instance.is_waiting(call))
    }

    pub(crate) fn call(&self, call: CallId) -> Option<&CallSpec> {
        self.instance.as_ref()?.call(call)
    }

    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    /// The workflow id.
    pub(crate) fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Nothing is on its way and nothing is to be written.
    pub(crate) fn is_idle(&self) -> bool {
        !self.in_flight && self.is_nothing_to_write()
    }
}

#[cfg(test)]
impl Actor {
    /// Its start is not on its way yet.
    pub(crate) fn is_new(&self) -> bool {
        self.next.start.is_some()
    }
}
