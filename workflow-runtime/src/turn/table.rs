//! The table of one run's calls: what it waits for and what it got.

use std::collections::{BTreeSet, VecDeque};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

use super::Fault;
use super::branches::{BranchFuture, Spawned};
use super::scope::{Scopes, Standing};
use crate::clock::Timestamp;
use crate::model::{
    CallId, CallKind, Encoded, Limits, MailKind, RetryPolicy, RunId, RunRecord, StepDefinition,
    StepOutcome,
};

/// Most places that a report names.
const MAX_PLACES: usize = 8;

/// What workflow code may know about its run.
#[derive(Clone, Debug)]
pub(crate) struct RunInfo {
    pub(crate) run: RunId,
    /// The stored name of its workflow.
    pub(crate) workflow: Arc<str>,
    /// The workflow id.
    pub(crate) id: Arc<str>,
    pub(crate) seed: i64,
    /// JSON map of texts.
    pub(crate) meta: Option<Arc<str>>,
    /// Largest stored value, in bytes.
    pub(crate) payload_limit: usize,
    /// Most events of its history.
    pub(crate) history_limit: u32,
    /// Other arguments of a call that has its result are a mismatch too.
    pub(crate) strict: bool,
    /// From 1; a restart begins the next.
    pub(crate) generation: u32,
    /// The run that waits for it.
    pub(crate) parent: Option<RunId>,
    /// Most messages that wait for one run.
    pub(crate) mailbox_limit: u32,
}

impl RunInfo {
    /// Of a stored run that is replayed and goes no further.
    pub(crate) fn of(record: &RunRecord, limits: Limits, strict: bool) -> Self {
        Self {
            run: record.run,
            workflow: Arc::clone(&record.workflow),
            id: Arc::clone(&record.id),
            seed: record.seed,
            meta: record.meta.clone(),
            payload_limit: limits.payload,
            history_limit: u32::MAX,
            strict,
            generation: record.generation,
            parent: record.parent.map(|(run, _)| run),
            mailbox_limit: u32::MAX,
        }
    }
}

/// A call as the workflow made it.
#[derive(Clone, Debug)]
pub(crate) struct CallSpec {
    pub(crate) target: Target,
    pub(crate) name: &'static str,
    pub(crate) was: &'static [&'static str],
    /// JSON list.
    pub(crate) args: Arc<str>,
    /// Fingerprint of `args`.
    pub(crate) hash: u64,
    /// Where the call stands in the user's code.
    pub(crate) at: &'static Location<'static>,
}

/// What a call does once it is durable.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Step {
        /// None only in the engine's own tests.
        definition: Option<&'static StepDefinition>,
        /// What the call says otherwise.
        overrides: Option<Box<Overrides>>,
    },
    Timer {
        due: Timestamp,
    },
    /// A signal or a request of its name is taken, as soon as there is one.
    Receive(MailKind),
    /// A run of another workflow is started, and waited for.
    Child(Box<ChildSpec>),
    /// A signal is sent.
    Send(Box<SendSpec>),
    /// A request is sent, and its reply waited for.
    Ask(Box<SendSpec>),
    /// A request is answered; there is nothing to wait for.
    Reply(Box<SendSpec>),
}

/// A child as its parent starts it.
#[derive(Clone, Debug)]
pub(crate) struct ChildSpec {
    pub(crate) id: Arc<str>,
    pub(crate) seed: i64,
    /// JSON map of texts.
    pub(crate) meta: Option<Arc<str>>,
    pub(crate) on_parent_end: OnParentEnd,
}

/// What becomes of a child that runs when its parent ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum OnParentEnd {
    /// It is cancelled.
    #[default]
    Cancel,
    /// It goes on by itself.
    Abandon,
    /// The parent ends after it; if the parent is cancelled, so is the child.
    Wait,
}

/// A signal as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct SendSpec {
    /// The workflow id of the receiver; of a reply, the request.
    pub(crate) to: Arc<str>,
    /// JSON.
    pub(crate) body: Arc<str>,
}

/// What a call of a step says otherwise than its definition.
#[derive(Clone, Debug)]
pub(crate) struct Overrides {
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) timeout: Option<Duration>,
}

impl CallSpec {
    pub(crate) fn kind(&self) -> CallKind {
        match self.target {
            Target::Step { .. } => CallKind::Step,
            Target::Timer { .. } => CallKind::Timer,
            Target::Receive(_) => CallKind::Receive,
            Target::Child(_) => CallKind::Child,
            Target::Send(_) => CallKind::Send,
            Target::Ask(_) => CallKind::Ask,
            Target::Reply(_) => CallKind::Reply,
        }
    }

    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.was.contains(&name)
    }
}

pub(super) struct Slot {
    pub(super) spec: CallSpec,
    pub(super) state: SlotState,
    /// Where it was made: what a cancellation of that place drops.
    at: Standing,
}

pub(super) enum SlotState {
    Waiting(Waker),
    Ready(StepOutcome),
    Taken,
    Dropped,
    /// Nobody waits for it, and it goes on: a child whose handle was dropped.
    Detached,
}

/// The calls of one run, in the order of their first polls.
pub(crate) struct Table {
    /// Unique in the process: a call polled under another table is noticed.
    pub(super) instance: u64,
    pub(super) slots: Vec<Slot>,
    /// How many are waiting.
    pub(super) waiting: usize,
    /// Dropped in this turn while they waited.
    pub(super) dropped: Vec<CallId>,
    pub(super) fault: Option<Fault>,
    /// How the run ends with this poll, without returning.
    pub(super) ended: Option<Encoded>,
    pub(super) now: Timestamp,
    pub(super) info: RunInfo,
    pub(crate) scopes: Scopes,
    /// A cancellation was delivered.
    pub(super) was_cancelled: bool,
    /// Branches that were spawned in this poll.
    pub(super) spawned: Vec<Spawned>,
    /// Futures that somebody vouched for and that are not there yet, since the
    /// poll began.
    pub(super) assumed: Vec<&'static Location<'static>>,
    /// What is polled was polled before.
    pub(super) replaying: bool,
    /// Patches that are in force.
    pub(super) patches: BTreeSet<Arc<str>>,
    /// Patches that this turn found to be new.
    pub(super) patched: Vec<Arc<str>>,
    /// Boxed: it is large, and most runs need none.
    chance: Option<Box<ChaCha8Rng>>,
    /// JSON: what the run shows from now on, if this turn said so.
    shown: Option<Arc<str>>,
    /// Signals that were assigned to a call and not taken by it: the next calls
    /// of their names get them.
    given_back: VecDeque<(Target, &'static str, StepOutcome)>,
}

impl Table {
    pub(super) fn new(info: RunInfo) -> Self {
        static INSTANCES: AtomicU64 = AtomicU64::new(1);
        Self {
            instance: INSTANCES.fetch_add(1, Ordering::Relaxed),
            slots: Vec::new(),
            waiting: 0,
            dropped: Vec::new(),
            fault: None,
            ended: None,
            now: Timestamp::default(),
            info,
            scopes: Scopes::default(),
            was_cancelled: false,
            spawned: Vec::new(),
            assumed: Vec::new(),
            replaying: false,
            patches: BTreeSet::new(),
            patched: Vec::new(),
            chance: None,
            shown: None,
            given_back: VecDeque::new(),
        }
    }

    /// The time of the last event.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn info(&self) -> &RunInfo {
        &self.info
    }

    /// A future that somebody vouched for is not there yet.
    pub(crate) fn awaits_assumed(&mut self, at: &'static Location<'static>) {
        if self.assumed.len() < MAX_PLACES {
            self.assumed.push(at);
        }
    }

    /// Whether a change is in force: it was before, or what runs now never ran.
    pub(crate) fn is_patched(&mut self, id: &str) -> bool {
        if self.patches.contains(id) {
            return true;
        }
        if !self.replaying {
            let id: Arc<str> = id.into();
            self.patches.insert(Arc::clone(&id));
            self.patched.push(id);
        }
        !self.replaying
    }

    /// Shows that to others, with the commit of this turn.
    pub(crate) fn show(&mut self, state: Arc<str>) {
        self.shown = Some(state);
    }

    pub(super) fn take_shown(&mut self) -> Option<Arc<str>> {
        self.shown.take()
    }

    /// Ends the run with this poll, whatever else it waits for.
    pub(crate) fn end(&mut self, ended: Encoded) {
        self.ended.get_or_insert(ended);
    }

    /// A branch that is polled next; shielded as what is polled here is.
    pub(crate) fn spawn(&mut self, future: BranchFuture) {
        let shielded = self.scopes.at.shielded;
        self.spawned.push(Spawned { future, shielded });
    }

    /// Whether what is polled here was cancelled and gets no further.
    pub(crate) fn is_stopped(&self) -> bool {
        self.scopes.is_stopped(self.scopes.at)
    }

    /// Fills `bytes` from the run's own stream of chance: `ChaCha8` keyed with
    /// its stored seed and its number. The same in every life.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        let info = &self.info;
        let chance = self.chance.get_or_insert_with(|| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&info.seed.to_le_bytes());
            key[8..16].copy_from_slice(&info.run.0.to_le_bytes());
            Box::new(ChaCha8Rng::from_seed(key))
        });
        chance.fill_bytes(bytes);
    }

    pub(super) fn slot(&self, call: CallId) -> Option<&Slot> {
        self.slots.get(usize::try_from(call.0).ok()?)
    }

    pub(super) fn slot_mut(&mut self, call: CallId) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(call.0).ok()?)
    }

    /// Number of calls made so far.
    pub(crate) fn calls(&self) -> u32 {
        self.len()
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn make(&mut self, spec: CallSpec, waker: Waker) -> CallId {
        let call = CallId(self.len());
        let state = match self.given_back(&spec) {
            Some(outcome) => SlotState::Ready(outcome),
            None if matches!(spec.target, Target::Reply(_)) => SlotState::Taken,
            None => SlotState::Waiting(waker),
        };
        self.waiting += usize::from(matches!(state, SlotState::Waiting(_)));
        self.slots.push(Slot { spec, state, at: self.scopes.at });
        call
    }

    /// A signal that another call had and did not take.
    fn given_back(&mut self, spec: &CallSpec) -> Option<StepOutcome> {
        let Target::Receive(wanted) = spec.target else { return None };
        let is_it = |(target, name, _): &(Target, &str, StepOutcome)| {
            *name == spec.name && matches!(target, Target::Receive(kind) if *kind == wanted)
        };
        let place = self.given_back.iter().position(is_it)?;
        self.given_back.remove(place).map(|(_, _, outcome)| outcome)
    }

    /// The outcome of a call that had it when it was made.
    pub(super) fn take_ready(&mut self, call: CallId) -> Option<StepOutcome> {
        let slot = self.slot_mut(call)?;
        match std::mem::replace(&mut slot.state, SlotState::Taken) {
            SlotState::Ready(outcome) => Some(outcome),
            other @ (SlotState::Waiting(_)
            | SlotState::Taken
            | SlotState::Dropped
            | SlotState::Detached) => {
                slot.state = other;
                None
            }
        }
    }

    /// Signals that are in the history and that no code took.
    pub(super) fn not_taken(&self) -> impl Iterator<Item = (&'static str, &Arc<str>)> {
        let back = self.given_back.iter().filter_map(|(target, name, outcome)| {
            let is_signal = matches!(target, Target::Receive(MailKind::Signal));
            is_signal.then_some((*name, &outcome.text))
        });
        let ready = self.slots.iter().filter_map(|slot| match (&slot.spec.target, &slot.state) {
            (Target::Receive(MailKind::Signal), SlotState::Ready(outcome)) => {
                Some((slot.spec.name, &outcome.text))
            }
            _ => None,
        });
        back.chain(ready)
    }

    /// The child of that call goes on, and nobody waits for it.
    pub(super) fn detach(&mut self, call: CallId) {
        let Some(slot) = self.slot_mut(call) else { return };
        if let SlotState::Waiting(_) = slot.state {
            slot.state = SlotState::Detached;
            self.waiting -= 1;
        }
    }

    /// Children that have not ended, as far as it is known.
    pub(super) fn open_children(&self) -> impl Iterator<Item = (CallId, &ChildSpec)> {
        self.slots.iter().zip(0..).filter_map(|(slot, n)| match (&slot.spec.target, &slot.state) {
            (Target::Child(child), SlotState::Waiting(_) | SlotState::Detached) => {
                Some((CallId(n), &**child))
            }
            _ => None,
        })
    }

    /// Whether the run ends only after some of its children.
    pub(super) fn waits_for_children(&self) -> bool {
        self.open_children().any(|(_, child)| child.on_parent_end == OnParentEnd::Wait)
    }

    /// Whether that call's outcome is of use.
    pub(super) fn wants(&self, call: CallId) -> bool {
        let Some(slot) = self.slot(call) else { return false };
        match (&slot.state, &slot.spec.target) {
            (SlotState::Waiting(_), _) => true,
            (SlotState::Detached, Target::Child(child)) => child.on_parent_end == OnParentEnd::Wait,
            _ => false,
        }
    }

    /// Gives a waiting call its outcome; returns whom to wake. `Ok(None)` if
    /// the call was dropped before.
    pub(super) fn resolve(
        &mut self,
        call: CallId,
        outcome: StepOutcome,
    ) -> Result<Option<Waker>, Fault> {
        let Some(slot) = self.slot_mut(call) else {
            return Err(Fault::UnknownCall(call));
        };
        match std::mem::replace(&mut slot.state, SlotState::Ready(outcome)) {
            SlotState::Waiting(waker) => {
                self.waiting -= 1;
                Ok(Some(waker))
            }
            SlotState::Dropped => {
                slot.state = SlotState::Dropped;
                Ok(None)
            }
            // The run may have waited for it to end.
            SlotState::Detached => {
                slot.state = SlotState::Taken;
                Ok(Some(Waker::noop().clone()))
            }
            SlotState::Ready(_) | SlotState::Taken => Err(Fault::AnsweredTwice(call)),
        }
    }

    pub(super) fn drop_call(&mut self, call: CallId) {
        let Some(slot) = self.slot_mut(call) else { return };
        match std::mem::replace(&mut slot.state, SlotState::Dropped) {
            SlotState::Waiting(_) => {
                self.waiting -= 1;
                self.dropped.push(call);
            }
            SlotState::Ready(outcome) if matches!(slot.spec.target, Target::Receive(_)) => {
                let (kind, name) = (slot.spec.target.clone(), slot.spec.name);
                self.given_back.push_back((kind, name, outcome));
            }
            other @ (SlotState::Ready(_)
            | SlotState::Taken
            | SlotState::Dropped
            | SlotState::Detached) => slot.state = other,
        }
    }

    /// Cancels the innermost scopes: what waits there without a shield is
    /// dropped. Returns whom to wake.
    pub(super) fn cancel(&mut self) -> Vec<Waker> {
        self.was_cancelled = true;
        let wakers = self.scopes.cancel();
        let waiting: Vec<CallId> = self.waiting_calls().collect();
        for call in waiting {
            let stopped = self.slot(call).is_some_and(|slot| self.scopes.is_stopped(slot.at));
            if stopped {
                self.drop_call(call);
            }
        }
        wakers
    }

    /// The calls that wait for an outcome, in their order.
    pub(super) fn waiting_calls(&self) -> impl Iterator<Item = CallId> + '_ {
        self.slots.iter().zip(0..).filter_map(|(slot, n)| {
            matches!(slot.state, SlotState::Waiting(_)).then_some(CallId(n))
        })
    }
}
