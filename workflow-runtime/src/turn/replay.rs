//! Brings an instance to the end of its history.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Fault;
#[cfg(feature = "testing")]
use super::compare::other_result;
use super::compare::{Changed, compare, not_awaited, returned_early, show_spec};
use super::instance::{Instance, Turn};
use super::table::RunInfo;
use crate::clock::Timestamp;
use crate::model::{
    CallKind, CallText, Decisions, Encoded, Event, EventKind, Mismatch, MismatchCause, RunRecord,
    WorkflowFuture,
};
#[cfg(feature = "testing")]
use crate::{
    codec::canonical,
    model::{End, Ended},
};

/// An event that was stored but has not been delivered to the workflow.
#[derive(Debug)]
pub(super) enum Undelivered {
    Start,
    Event(Event),
}

impl Undelivered {
    fn seq(&self) -> u32 {
        match self {
            Self::Start => 0,
            Self::Event(event) => event.seq,
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Start => "start".to_owned(),
            Self::Event(event) => format!("{} `{}`", event.kind.as_str(), event.name),
        }
    }

    /// The signal that it brings, by its name.
    pub(super) fn signal(&self, to: &Instance) -> Option<(&'static str, Arc<str>)> {
        match self {
            Self::Start => None,
            Self::Event(event) => to.signal_of(event),
        }
    }

    pub(super) fn deliver(&self, to: &mut Instance, now: Timestamp) -> Result<Turn, Fault> {
        match self {
            Self::Start => to.turn(now),
            Self::Event(event) => deliver(to, event, now),
        }
    }
}

/// Where a history ends.
#[derive(Debug)]
pub(super) struct Frontier {
    /// The seq of the next row.
    pub(super) next_seq: u32,
    /// The time of the last turn.
    pub(super) last: Timestamp,
    /// The build that decided last.
    pub(super) build: Option<Arc<str>>,
    /// Oldest first.
    pub(super) undelivered: VecDeque<Undelivered>,
}

/// Delivers what the history says was delivered, one event per turn, and
/// compares what each turn decides with what it decided then. Starts nothing.
pub(super) fn replay(
    instance: &mut Instance,
    record: &RunRecord,
    history: &[Event],
) -> Result<Frontier, Fault> {
    instance.replaying = true;
    let mut replay = Replay::of(instance, record);
    replay.all(record, history)?;
    replay.changed.judge(replay.instance)?;
    let Replay { last, undelivered, build, .. } = replay;
    instance.replaying = false;
    let next_seq = history.last().map_or(1, |event| event.seq + 1);
    Ok(Frontier { next_seq, last, build, undelivered })
}

/// Who cancelled a run and why, from the payload of the event: a JSON text.
pub(super) fn cancelled_by(payload: &str) -> String {
    serde_json::from_str(payload).unwrap_or_else(|_| payload.to_owned())
}

struct Replay<'a> {
    instance: &'a mut Instance,
    last: Timestamp,
    build: Option<Arc<str>>,
    undelivered: VecDeque<Undelivered>,
    /// What the workflow returned; only where the run has ended.
    returned: Option<Encoded>,
    ends: bool,
    /// Calls that are made with other arguments now.
    changed: Changed,
}

impl<'a> Replay<'a> {
    fn of(instance: &'a mut Instance, record: &RunRecord) -> Self {
        let (last, undelivered) = (record.created, VecDeque::new());
        let changed = Changed::of(instance.is_strict());
        Self { instance, last, build: None, undelivered, returned: None, ends: false, changed }
    }

    fn all(&mut self, record: &RunRecord, history: &[Event]) -> Result<(), Fault> {
        match record.decided.as_deref() {
            Some(decided) => {
                let recorded = Decisions::read(decided).map_err(Fault::Corrupt)?;
                self.turn(&Undelivered::Start, record.created, &recorded)?;
            }
            None => self.undelivered.push_back(Undelivered::Start),
        }
        for (event, seq) in history.iter().zip(1..) {
            if event.seq != seq {
                let found = event.seq;
                let message = format!("event {seq} is missing; event {found} follows");
                return Err(Fault::Corrupt(message));
            }
            self.event(event)?;
        }
        Ok(())
    }

    fn event(&mut self, event: &Event) -> Result<(), Fault> {
        let (seq, at) = (event.seq, event.at);
        let corrupt = |error| Fault::Corrupt(format!("event {seq}: {error}"));
        let recorded = event.decisions().map_err(corrupt)?;
        match (event.kind, recorded) {
            (EventKind::Refused, _) => Ok(()),
            (EventKind::Begun, Some(recorded)) => {
                let Some(oldest) = self.undelivered.pop_front() else {
                    return Err(corrupt("it begins nothing".to_owned()));
                };
                self.turn(&oldest, at, &recorded)
            }
            // It would have ended the run, and was prevented again.
            (EventKind::Begun, None) => Ok(()),
            // It does not wait for what was stored before it.
            (EventKind::Cancelled, Some(recorded)) => {
                self.turn(&Undelivered::Event(event.clone()), at, &recorded)
            }
            (_, None) => {
                self.undelivered.push_back(Undelivered::Event(event.clone()));
                Ok(())
            }
            (
                EventKind::Step
                | EventKind::Timer
                | EventKind::Signal
                | EventKind::Child
                | EventKind::Sent
                | EventKind::Reply,
                Some(recorded),
            ) => {
                if !self.undelivered.is_empty() {
                    return Err(corrupt("it was delivered before an older one".to_owned()));
                }
                let dropped = event.call.is_some_and(|call| self.instance.is_dropped(call));
                let event = Undelivered::Event(event.clone());
                if dropped {
                    return Err(Fault::Mismatch(not_awaited(seq, &event.show())));
                }
                self.turn(&event, at, &recorded)
            }
        }
    }

    fn turn(
        &mut self,
        event: &Undelivered,
        at: Timestamp,
        recorded: &Decisions,
    ) -> Result<(), Fault> {
        if recorded.build.is_some() {
            self.build.clone_from(&recorded.build);
        }
        let disagree = |mut mismatch: Box<Mismatch>| {
            let named = self.build.as_deref().filter(|build| !build.is_empty());
            mismatch.recorded_by = named.map(str::to_owned);
            Fault::Mismatch(mismatch)
        };
        if self.returned.is_some() {
            return Err(disagree(returned_early(event.seq(), &event.show())));
        }
        self.last = self.last.max(at);
        self.instance.patched(&recorded.patched)?;
        let turn = event.deliver(self.instance, self.last)?;
        let made = self.instance.slots(turn.created.clone());
        let compared = compare(event.seq(), &event.show(), recorded, made, turn.created.start);
        if let Err(mismatch) = compared {
            self.changed.note(disagree(mismatch), recorded, made)?;
        }
        self.changed.saw(recorded);
        // The row that ends a run ends it in the same commit: an open run has
        // no turn in its history that ended it.
        match turn.ended {
            Some(returned) if self.ends => {
                self.returned = Some(returned);
                Ok(())
            }
            Some(_) => Err(disagree(returned_early(event.seq(), &event.show()))),
            None => Ok(()),
        }
    }
}

/// Replays a whole history, also of a run that has ended: the same decisions,
/// the same result. Starts nothing.
///
/// # Errors
///
/// Where this code and the history disagree.
#[cfg(feature = "testing")]
pub(crate) fn verify(
    info: RunInfo,
    future: WorkflowFuture,
    record: &RunRecord,
    history: &[Event],
) -> Result<(), Fault> {
    let mut instance = Instance::new(info, future);
    instance.replaying = true;
    let mut replay = Replay { ends: record.end.is_some(), ..Replay::of(&mut instance, record) };
    replay.all(record, history)?;
    let says = |end: &&End| matches!(end.how, Ended::Completed | Ended::Continued);
    let Some(end) = record.end.as_ref().filter(says) else {
        return Ok(());
    };
    let returned = replay.returned.map(|returned| returned.text);
    let same = returned.as_ref().is_some_and(|now| canonical(now) == canonical(&end.output));
    if same {
        return Ok(());
    }
    let seq = history.last().map_or(0, |event| event.seq);
    Err(Fault::Mismatch(other_result(seq, &end.output, returned.as_deref())))
}

/// Replays the history of an open run and what was stored after it; gives the
/// steps that would start next. Starts nothing.
///
/// # Errors
///
/// Why this code cannot go on with it.
pub(crate) fn rehearse(
    info: RunInfo,
    future: WorkflowFuture,
    record: &RunRecord,
    history: &[Event],
) -> Result<Vec<CallText>, Fault> {
    let mut instance = Instance::new(info, future);
    let frontier = replay(&mut instance, record, history)?;
    for event in frontier.undelivered {
        if event.deliver(&mut instance, frontier.last)?.ended.is_some() {
            return Ok(Vec::new());
        }
    }
    let waiting = instance.waiting_calls().into_iter().filter_map(|call| instance.call(call));
    Ok(waiting.filter(|spec| spec.kind() == CallKind::Step).map(show_spec).collect())
}

/// How often is tried to prove that code is not deterministic: two draws may be
/// the same by chance.
const OPINIONS: usize = 3;

/// What other replays by the same code say of a mismatch: where one differs from
/// the first, the history has no part in it.
pub(crate) fn second_opinion(
    first: &Mismatch,
    again: impl Fn() -> Result<Vec<CallText>, Fault>,
) -> Option<Fault> {
    let told = (0..OPINIONS).find_map(|_| match again() {
        Err(Fault::Mismatch(second)) => {
            let same = second.calls == first.calls && second.cause == first.cause;
            let other = second.calls.iter().find(|call| !call.same);
            let actual = other.and_then(|call| call.actual.as_ref().map(ToString::to_string));
            (!same).then(|| actual.unwrap_or_else(|| second.cause.to_string()))
        }
        Err(fault) => Some(fault.explain()),
        Ok(_) => Some("it agrees with the history".to_owned()),
    })?;
    let cause = MismatchCause::NotDeterministic(told);
    Some(Fault::Mismatch(Box::new(Mismatch { cause, ..first.clone() })))
}

fn deliver(to: &mut Instance, event: &Event, now: Timestamp) -> Result<Turn, Fault> {
    let seq = event.seq;
    if event.kind == EventKind::Cancelled {
        return to.cancel(event.payload.as_deref().map(cancelled_by).unwrap_or_default(), now);
    }
    let Some(call) = event.call else {
        return Err(Fault::Corrupt(format!("event {seq} answers no call")));
    };
    let Some(expected) = event.kind.answers() else {
        return Err(Fault::Corrupt(format!("event {seq} answers no call")));
    };
    let Some(spec) = to.call(call) else { return Err(Fault::UnknownCall(call)) };
    if spec.kind() != expected || !spec.is_called(&event.name) {
        let (kind, name) = (spec.kind().as_str(), spec.name);
        return Err(Fault::Corrupt(format!(
            "event {seq} says that call {call} is {} `{}`, and it is {kind} `{name}`",
            expected.as_str(),
            event.name
        )));
    }
    let outcome = event.payload.clone().unwrap_or_else(|| "null".into());
    to.deliver(call, outcome.into(), now)
}
