//! The protocol of one run: commit, then act.
//!
//! The actor takes outcomes, runs a turn for each, and collects what the turns
//! decided into one item. At most one item is on its way to the store; only
//! when it is durable do the calls it made start and the calls it dropped stop.

mod begin;
mod deliver;
mod others;

pub(crate) use others::seed_of_child;

use std::borrow::Cow;
use std::sync::Arc;

use super::Fault;
use super::instance::Instance;
use super::table::{CallSpec, RunInfo, Target};
use crate::clock::Timestamp;
use crate::model::{
    Answer, AttemptRecord, CallId, End, EventKind, Item, Mismatch, RunId, Traffic, Undelivered,
    WorkflowFuture, WriterId,
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
    /// What is known of the attempts of these is durable.
    pub(crate) recorded: Vec<AttemptRecord>,
    /// What these ask of others was not accepted.
    pub(crate) undelivered: Vec<(CallId, Undelivered)>,
    /// Something was begun that somebody has to run.
    pub(crate) reaches_others: bool,
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
    /// It is durable and waits until somebody claims it.
    Queued,
    /// Set aside, durably.
    Blocked,
    /// The workflow id belongs to another run; this one never was.
    Taken(RunId),
    /// The number belongs to another run; this one never was.
    Used,
    /// The store cannot take the start; the reason.
    Refused(String),
    /// What the store has of it goes on: it is read again.
    ReadAgain,
    /// This memory of the run is not what the store has: drop it.
    Lost(Answer),
}

pub(crate) struct Actor {
    run: RunId,
    id: Arc<str>,
    meta: Option<Arc<str>>,
    identity: Arc<Identity>,
    /// None once the run is blocked or ended.
    instance: Option<Instance>,
    /// The seq of the next row.
    next_seq: u32,
    /// The most events of its history.
    history_limit: u32,
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
    /// It was claimed before and has not got further since.
    suspected: bool,
    /// What is in memory counts no more.
    given_up: bool,
    /// The number of the command that was obeyed last.
    obeyed: i64,
    /// The build that the history has for the last turn.
    decided_by: Option<Arc<str>>,
    mismatch: Option<Box<Mismatch>>,
    info: Crossing,
    /// How many messages for it this memory knows of.
    heard: i64,
    /// Calls that asked something of others in an earlier life, and ask again.
    again: Vec<CallId>,
}

/// What is to be known of a run for what goes from it to others.
struct Crossing {
    parent: Option<RunId>,
    seed: i64,
    mailbox_limit: u32,
}

/// What the item on its way holds back.
#[derive(Default)]
struct Sent {
    start: bool,
    queued: bool,
    /// The seq of its first row.
    first_seq: u32,
    made: Vec<CallId>,
    dropped: Vec<CallId>,
    recorded: Vec<AttemptRecord>,
    end: Option<End>,
    park: Option<Timestamp>,
    block: bool,
    /// Nothing but that it is set aside.
    block_alone: bool,
    reaches_others: bool,
}

/// A row without its place in the history.
struct Row {
    kind: EventKind,
    call: Option<CallId>,
    name: Cow<'static, str>,
    payload: Option<Arc<str>>,
    decided: Option<Arc<str>>,
    at: Timestamp,
}

impl Actor {
    fn new(info: RunInfo, identity: Arc<Identity>, future: Option<WorkflowFuture>) -> Self {
        let (run, id, history_limit) = (info.run, Arc::clone(&info.id), info.history_limit);
        let next = Item::new(run, identity.writer);
        let crossing =
            Crossing { parent: info.parent, seed: info.seed, mailbox_limit: info.mailbox_limit };
        Self {
            run,
            id,
            meta: info.meta.clone(),
            identity,
            instance: future.map(|future| Instance::new(info, future)),
            next_seq: 1,
            history_limit,
            last: Timestamp::default(),
            next,
            sent: Sent::default(),
            in_flight: false,
            made: Vec::new(),
            dropped: Vec::new(),
            blocked: false,
            suspected: false,
            given_up: false,
            obeyed: 0,
            decided_by: None,
            mismatch: None,
            info: crossing,
            heard: 0,
            again: Vec::new(),
        }
    }

    /// Records what is known of a call's attempts, instead of what was to be
    /// recorded before.
    pub(crate) fn record(&mut self, record: AttemptRecord) {
        self.next.attempts.retain(|other| other.call != record.call);
        self.next.attempts.push(record);
    }

    /// What is known of a call's attempts goes with its result.
    pub(crate) fn settle(&mut self, call: CallId) {
        self.next.settled.push(call);
        self.next.attempts.retain(|record| record.call != call);
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
        let mut item = std::mem::replace(&mut self.next, Item::new(self.run, self.identity.writer));
        (item.heard, item.parent) = (self.heard, self.info.parent);
        self.made.append(&mut self.again);
        self.sent = Sent {
            reaches_others: item.all_traffic().any(Traffic::reaches_others)
                || (item.end.is_some() && item.parent.is_some()),
            start: item.start.is_some(),
            queued: item.start.as_ref().is_some_and(|start| start.queued),
            first_seq: item.events.first().map_or(self.next_seq, |event| event.seq),
            made: std::mem::take(&mut self.made),
            dropped: std::mem::take(&mut self.dropped),
            recorded: item.attempts.clone(),
            end: item.end.clone(),
            park: item.park,
            block: item.block.is_some(),
            block_alone: item.block.is_some() && item.events.is_empty() && item.attempts.is_empty(),
        };
        Some(item)
    }

    fn is_nothing_to_write(&self) -> bool {
        let next = &self.next;
        next.start.is_none()
            && next.events.is_empty()
            && next.attempts.is_empty()
            && next.settled.is_empty()
            && next.park.is_none()
            && next.block.is_none()
            && next.end.is_none()
            && next.traffic.is_none()
            && !next.unblock
            && !next.progress
    }

    /// What is in memory counts no more. Once what is on its way is answered,
    /// the run is to be read again.
    pub(crate) fn give_up(&mut self) {
        self.next = Item::new(self.run, self.identity.writer);
        self.given_up = true;
        self.instance = None;
        self.made.clear();
        self.again.clear();
        self.dropped.clear();
    }

    /// Takes the answer to the item on its way.
    pub(crate) fn answered(&mut self, answer: Answer, now: Timestamp) -> Effects {
        self.in_flight = false;
        let sent = std::mem::take(&mut self.sent);
        let lost = |fate| Effects { fate: Some(fate), ..Effects::default() };
        match answer {
            Answer::Committed => self.committed(sent),
            Answer::Undelivered(undelivered) => {
                let mut effects = self.committed(sent);
                effects.launch.retain(|call| !undelivered.iter().any(|(not, _)| not == call));
                Effects { undelivered, ..effects }
            }
            Answer::Taken(run) => lost(Fate::Taken(run)),
            Answer::Used => lost(Fate::Used),
            Answer::Refused(reason) if sent.start => lost(Fate::Refused(reason)),
            Answer::Refused(reason) if !sent.block_alone => {
                // What was refused is in no history: nothing after it counts.
                self.next = Item::new(self.run, self.identity.writer);
                self.next_seq = sent.first_seq;
                self.block(&Fault::Refused(reason), now);
                Effects::default()
            }
            // It was cancelled before it could end.
            Answer::NotEnded => lost(Fate::ReadAgain),
            other @ (Answer::Conflict | Answer::MissingPredecessor | Answer::Refused(_)) => {
                lost(Fate::Lost(other))
            }
        }
    }

    fn committed(&self, sent: Sent) -> Effects {
        let fate = match (sent.end, sent.park) {
            (Some(end), _) => Some(Fate::Ended(end)),
            (None, Some(_)) => Some(Fate::Parked),
            (None, None) if sent.queued => Some(Fate::Queued),
            (None, None) if self.given_up => Some(Fate::ReadAgain),
            (None, None) => sent.block.then_some(Fate::Blocked),
        };
        // A later turn may have dropped what this commit would start.
        let wanted = |call: &CallId| {
            self.instance.as_ref().is_some_and(|instance| instance.is_waiting(*call))
        };
        let launch = sent.made.into_iter().filter(wanted).collect();
        let recorded = sent.recorded.into_iter().filter(|record| wanted(&record.call)).collect();
        Effects {
            accepted: sent.start,
            launch,
            abort: sent.dropped,
            recorded,
            undelivered: Vec::new(),
            reaches_others: sent.reaches_others,
            fate,
        }
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

    /// Whether somebody else may give it what it waits for.
    pub(crate) fn waits_for_others(&self) -> bool {
        self.waiting_calls().into_iter().any(|call| {
            let target = self.call(call).map(|spec| &spec.target);
            matches!(target, Some(Target::Receive(_) | Target::Child(_) | Target::Ask(_)))
        }) || self.instance.as_ref().is_some_and(Instance::is_held)
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

    /// JSON map of texts.
    pub(crate) fn meta(&self) -> Option<&Arc<str>> {
        self.meta.as_ref()
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Nothing is on its way and nothing is to be written.
    pub(crate) fn is_idle(&self) -> bool {
        !self.in_flight && self.is_nothing_to_write()
    }
}

#[cfg(any(test, feature = "testing"))]
impl Actor {
    /// Why it is blocked, if that is not written yet.
    pub(crate) fn report(&self) -> Option<&str> {
        self.next.block.as_ref().map(|block| &*block.report)
    }
}

#[cfg(test)]
impl Actor {
    /// Its start is not on its way yet.
    pub(crate) fn is_new(&self) -> bool {
        self.next.start.is_some()
    }
}
