//! How an actor begins: a new run, or one that the store has.

use std::sync::Arc;

use super::{Actor, Identity, Row};
use crate::clock::Timestamp;
use crate::error::{Failure, FailureKind};
use crate::model::{
    End, Ended, Event, EventKind, Mismatch, Start, StoredRun, Successor, WorkflowFuture,
};
use crate::turn::Fault;
use crate::turn::replay::replay;
use crate::turn::table::RunInfo;

impl Actor {
    /// A new run that waits until somebody claims it.
    pub(crate) fn queued(
        info: RunInfo,
        identity: impl Into<Arc<Identity>>,
        args: Arc<str>,
        now: Timestamp,
    ) -> Self {
        let identity = identity.into();
        let start = Start { queued: true, ..new_start(&info, &identity, args, now) };
        let mut actor = Self::new(info, identity, None);
        actor.last = now;
        actor.next.start = Some(Box::new(start));
        actor
    }

    /// A new run: its first turn runs before its start is durable.
    pub(crate) fn start(
        info: RunInfo,
        identity: impl Into<Arc<Identity>>,
        args: Arc<str>,
        begun: Result<WorkflowFuture, Fault>,
        now: Timestamp,
    ) -> Self {
        let identity = identity.into();
        let start = new_start(&info, &identity, args, now);
        let (future, fault) = match begun {
            Ok(future) => (Some(future), None),
            Err(fault) => (None, Some(fault)),
        };
        let mut actor = Self::new(info, identity, future);
        actor.last = now;
        actor.next.start = Some(Box::new(start));
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
        identity: impl Into<Arc<Identity>>,
        stored: &StoredRun,
        begun: Result<WorkflowFuture, Fault>,
        now: Timestamp,
    ) -> Self {
        let (future, fault) = match begun {
            Ok(future) => (Some(future), None),
            Err(fault) => (None, Some(fault)),
        };
        let mut actor = Self::new(info, identity.into(), future);
        actor.suspected = stored.record.open.as_ref().is_some_and(|open| open.claims > 0);
        actor.last = stored.record.created;
        actor.next_seq = after(&stored.history);
        actor.heard = stored.record.open.as_ref().map_or(0, |open| open.mail);
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

    /// The report of code and history that disagree, if it is blocked for that.
    pub(crate) fn mismatch(&self) -> Option<&Mismatch> {
        self.mismatch.as_deref()
    }

    /// Ends it for that, instead of setting it aside: as failed, or with another
    /// generation that begins anew.
    pub(crate) fn end_for_mismatch(&mut self, was_blocked: bool, anew: Option<Successor>) {
        let Some(mismatch) = self.mismatch.take() else { return };
        let failure = Failure::of_kind(FailureKind::Mismatch, mismatch.to_string());
        let output = serde_json::json!({ "failure": failure }).to_string().into();
        let at = self.last;
        let how = if anew.is_some() { Ended::Continued } else { Ended::Failed };
        // What ends a run goes in with a row.
        let (call, payload, decided) = (None, None, Some("[]".into()));
        self.push(Row { kind: EventKind::Refused, call, name: "".into(), payload, decided, at });
        self.next.end = Some(End { how, output, at });
        self.succeed(anew, at);
        (self.next.block, self.next.unblock) = (None, was_blocked);
        self.blocked = false;
    }

    /// Another replay says more about why it is blocked.
    pub(crate) fn blocked_for(&mut self, fault: &Fault) {
        self.block(fault, self.last);
    }

    /// Sets a stored run aside without running it.
    pub(crate) fn aside(
        info: RunInfo,
        identity: impl Into<Arc<Identity>>,
        history: &[Event],
        fault: &Fault,
        now: Timestamp,
    ) -> Self {
        let mut actor = Self::new(info, identity.into(), None);
        actor.next_seq = after(history);
        actor.block(fault, now);
        actor
    }

    fn replay(&mut self, stored: &StoredRun, now: Timestamp) -> Result<(), Fault> {
        let instance = self.instance.as_mut().ok_or(Fault::Gone)?;
        let frontier = replay(instance, &stored.record, &stored.history)?;
        self.next_seq = frontier.next_seq;
        self.last = frontier.last;
        self.decided_by = frontier.build;
        self.made = instance.waiting_calls();
        let signals: Vec<_> =
            frontier.undelivered.iter().map(|event| event.signal(instance)).collect();
        for cancel in &stored.cancels {
            // Before anything else: what it drops is not started again.
            self.cancel(cancel, now)?;
        }
        for (event, signal) in frontier.undelivered.iter().zip(signals) {
            if self.next.end.is_some() {
                // No code saw it.
                signal.into_iter().for_each(|(name, body)| self.leave_signal(name, body));
                continue;
            }
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
        }
        // What a turn just now dropped never starts.
        if let Some(instance) = &self.instance {
            self.made.retain(|call| instance.is_waiting(*call));
        }
        if self.next.end.is_none() {
            self.ask_again(self.last.max(now));
        }
        Ok(())
    }
}

/// The seq of the next row.
fn after(history: &[Event]) -> u32 {
    history.last().map_or(1, |event| event.seq.saturating_add(1))
}

fn new_start(info: &RunInfo, identity: &Identity, args: Arc<str>, at: Timestamp) -> Start {
    Start {
        workflow: Arc::clone(&identity.workflow),
        id: Arc::clone(&info.id),
        args,
        seed: info.seed,
        decided: None,
        meta: info.meta.clone(),
        parent: None,
        queued: false,
        at,
    }
}
