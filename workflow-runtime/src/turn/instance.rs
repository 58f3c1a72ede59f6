//! One run in memory: its future and its table. Polled inside a turn only.

use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tracing::Dispatch;

use super::branches::Branches;
use super::fault::Places;
use super::scope::{ROOT, Standing};
use super::table::{CallSpec, OnParentEnd, RunInfo, Slot, SlotState, Table, Target};
use super::waker::Root;
use super::{Fault, current};
use crate::clock::Timestamp;
use crate::error::{Failure, FailureKind};
use crate::model::{CallId, Encoded, Ended, Event, MailKind, StepOutcome, WorkflowFuture};
use crate::panics;

/// A workflow that wakes itself this often without an event never rests.
const MAX_SELF_WAKES: u32 = 10_000;

pub(super) struct Instance {
    future: Option<WorkflowFuture>,
    branches: Branches,
    /// Who cancelled the run, and why.
    cancelled_by: String,
    /// In its place except while the future is polled or dropped.
    table: Option<Box<Table>>,
    root: Arc<Root>,
    waker: Waker,
    /// How it ends, once the children that it waits for have.
    held_end: Option<Encoded>,
    /// Silences `tracing`: what is replayed was said before.
    pub(super) replaying: bool,
}

/// What one turn decided.
#[derive(Debug)]
pub(super) struct Turn {
    /// Calls made, by number.
    pub(super) created: Range<u32>,
    /// Calls dropped while they waited.
    pub(super) dropped: Vec<CallId>,
    /// Patches that were found to be new.
    pub(super) patched: Vec<Arc<str>>,
    /// JSON: what the run shows from here on.
    pub(super) shown: Option<Arc<str>>,
    pub(super) ended: Option<Encoded>,
}

impl Instance {
    pub(super) fn new(info: RunInfo, future: WorkflowFuture) -> Self {
        let root = Root::new();
        let waker = Arc::clone(&root).into();
        let table = Some(Box::new(Table::new(info)));
        let (branches, cancelled_by) = (Branches::default(), String::new());
        let future = Some(future);
        let (held_end, replaying) = (None, false);
        Self { future, branches, cancelled_by, table, root, waker, held_end, replaying }
    }

    /// Delivers a cancellation: drops what is not shielded, and polls what is
    /// to go on until it is quiet.
    pub(super) fn cancel(&mut self, by: String, now: Timestamp) -> Result<Turn, Fault> {
        let wakers = self.table()?.cancel();
        self.cancelled_by = by;
        let woken = self.root.inside(|| panics::catch(|| wakers.into_iter().for_each(Waker::wake)));
        woken.map_err(Fault::Panicked)?;
        self.turn(now)
    }

    /// Patches that are in force from here on.
    pub(super) fn patched(&mut self, ids: &[Arc<str>]) -> Result<(), Fault> {
        self.table()?.patches.extend(ids.iter().cloned());
        Ok(())
    }

    /// Delivers one outcome and polls until the workflow is quiet. The outcome
    /// of a call that was dropped changes nothing.
    pub(super) fn deliver(
        &mut self,
        call: CallId,
        outcome: StepOutcome,
        now: Timestamp,
    ) -> Result<Turn, Fault> {
        let table = self.table()?;
        let calls = table.len();
        match table.resolve(call, outcome)? {
            Some(waker) => {
                // A combinator's waker is code of others.
                let woken = self.root.inside(|| panics::catch(|| waker.wake()));
                woken.map_err(Fault::Panicked)?;
                self.turn(now)
            }
            None => {
                let (dropped, patched) = (Vec::new(), Vec::new());
                Ok(Turn { created: calls..calls, dropped, patched, shown: None, ended: None })
            }
        }
    }

    /// Polls until the workflow is quiet: by itself, its first turn.
    pub(super) fn turn(&mut self, now: Timestamp) -> Result<Turn, Fault> {
        let replaying = self.replaying;
        let table = self.table()?;
        table.now = table.now.max(now);
        table.replaying = replaying;
        let before = table.len();
        let ended = self.quiesce()?;
        let table = self.table()?;
        let created = before..table.len();
        let dropped = std::mem::take(&mut table.dropped);
        let patched = std::mem::take(&mut table.patched);
        let shown = table.take_shown();
        Ok(Turn { created, dropped, patched, shown, ended })
    }

    /// Polls until the workflow ended or nothing it could do is left.
    fn quiesce(&mut self) -> Result<Option<Encoded>, Fault> {
        let ended = match self.held_end.take() {
            Some(ended) => Some(ended),
            None => self.run_until_quiet()?,
        };
        if ended.as_ref().is_some_and(|ended| ended.how != Ended::Cancelled)
            && self.table()?.waits_for_children()
            && !self.table()?.was_cancelled
        {
            self.held_end = ended;
            return Ok(None);
        }
        Ok(ended)
    }

    fn run_until_quiet(&mut self) -> Result<Option<Encoded>, Fault> {
        for _ in 0..MAX_SELF_WAKES {
            self.root.take_woken();
            self.table()?.assumed.clear();
            if self.table()?.scopes.is_over(ROOT) {
                return self.cancelled().map(Some);
            }
            let polled = self.poll()?;
            let table = self.table()?;
            if let Some(fault) = table.fault.take() {
                return Err(fault);
            }
            if let Some(ended) = table.ended.take() {
                return self.end(ended).map(Some);
            }
            let idle = table.waiting == 0;
            match polled {
                Poll::Ready(ended) => return Ok(Some(self.as_cancelled(ended)?)),
                Poll::Pending if table.scopes.is_over(ROOT) => {}
                Poll::Pending if self.root.take_woken() => {}
                Poll::Pending if self.root.was_foreign() => {
                    return Err(Fault::ForeignWake(self.assumed()));
                }
                Poll::Pending if idle => return Err(Fault::ForeignAwait(self.assumed())),
                Poll::Pending => return Ok(None),
            }
        }
        Err(Fault::BusyLoop)
    }

    /// Where the code waits for what somebody vouched for.
    fn assumed(&self) -> Places {
        self.table.as_ref().map(|table| Places(table.assumed.clone())).unwrap_or_default()
    }

    /// The end of a run that its code asked for, without returning.
    fn end(&mut self, ended: Encoded) -> Result<Encoded, Fault> {
        let root = Standing { scope: ROOT, shielded: false };
        if self.table()?.scopes.is_stopped(root) {
            // Cancelled as a whole: what was shielded is no reason to go on.
            return self.cancelled();
        }
        self.take_apart()?;
        self.as_cancelled(ended)
    }

    /// The end of a run whose cancellation left nothing to go on.
    fn cancelled(&mut self) -> Result<Encoded, Fault> {
        self.take_apart()?;
        let failure = Failure::of_kind(FailureKind::Cancelled, self.cancelled_by.clone());
        let text = serde_json::json!({ "failure": failure }).to_string();
        Ok(Encoded::new(text, Ended::Cancelled))
    }

    /// Drops its future, where its calls find their table.
    fn take_apart(&mut self) -> Result<(), Fault> {
        let Some(table) = self.table.take() else { return Err(Fault::Gone) };
        let Self { future, branches, root, .. } = self;
        let mut taken = (future.take(), std::mem::take(branches));
        let (table, dropped) = current::enter(table, || {
            root.inside(|| panics::catch(|| drop(std::mem::take(&mut taken))))
        });
        self.table = table;
        dropped.map_err(Fault::Panicked)
    }

    /// Code that took a cancellation and ended with an error was cancelled.
    fn as_cancelled(&mut self, ended: Encoded) -> Result<Encoded, Fault> {
        let cancelled = self.table()?.was_cancelled && ended.how == Ended::Failed;
        Ok(if cancelled { Encoded { how: Ended::Cancelled, ..ended } } else { ended })
    }

    fn poll(&mut self) -> Result<Poll<Encoded>, Fault> {
        let Some(table) = self.table.take() else { return Err(Fault::Gone) };
        let Self { future, branches, root, waker, .. } = self;
        let mut poll = || {
            let Some(running) = future.as_mut() else { return Poll::Pending };
            let polled = running.as_mut().poll(&mut Context::from_waker(waker));
            if polled.is_ready() {
                // Dropped where their calls find their table.
                (*future, *branches) = (None, Branches::default());
            } else {
                branches.poll(waker);
            }
            polled
        };
        #[cfg(feature = "sanitize")]
        let mut poll = {
            let id = Arc::clone(&table.info.id);
            move || workflow_sanitize::watch(&id, &mut poll)
        };
        let replaying = self.replaying;
        // As short as the poll: a run may take months.
        let span = match replaying {
            true => tracing::Span::none(),
            false => tracing::info_span!("workflow", id = %table.info.id),
        };
        let mut guarded = || {
            if replaying {
                tracing::dispatcher::with_default(&Dispatch::none(), &mut poll)
            } else {
                span.in_scope(&mut poll)
            }
        };
        let (table, polled) = current::enter(table, || root.inside(|| panics::catch(&mut guarded)));
        self.table = table;
        polled.map_err(Fault::Panicked)
    }

    fn table(&mut self) -> Result<&mut Table, Fault> {
        self.table.as_deref_mut().ok_or(Fault::Gone)
    }

    pub(super) fn is_strict(&self) -> bool {
        self.table.as_ref().is_none_or(|table| table.info.strict)
    }

    pub(super) fn call(&self, call: CallId) -> Option<&CallSpec> {
        self.table.as_ref()?.slot(call).map(|slot| &slot.spec)
    }

    /// The calls that wait for an outcome, in their order.
    pub(super) fn waiting_calls(&self) -> Vec<CallId> {
        self.table.iter().flat_map(|table| table.waiting_calls()).collect()
    }

    pub(super) fn is_waiting(&self, call: CallId) -> bool {
        self.state(call).is_some_and(|state| matches!(state, SlotState::Waiting(_)))
    }

    /// Whether only children keep it from its end.
    pub(super) fn is_held(&self) -> bool {
        self.held_end.is_some()
    }

    /// Whether a call was made and has no outcome, whoever waits for it.
    pub(super) fn is_open(&self, call: CallId) -> bool {
        let open = |state: &SlotState| matches!(state, SlotState::Waiting(_) | SlotState::Detached);
        self.state(call).is_some_and(open)
    }

    /// Calls that ask something of others and have no outcome, in their order.
    pub(super) fn open_asks(&self) -> Vec<CallId> {
        let slots = self.table.iter().flat_map(|table| table.slots.iter().zip(0..));
        let asks = slots.filter(|(slot, _)| {
            matches!(slot.spec.target, Target::Child(_) | Target::Send(_) | Target::Ask(_))
                && matches!(slot.state, SlotState::Waiting(_) | SlotState::Detached)
        });
        asks.map(|(_, call)| CallId(call)).collect()
    }

    /// Whether that call's outcome is of use.
    pub(super) fn wants(&self, call: CallId) -> bool {
        self.table.as_ref().is_some_and(|table| table.wants(call))
    }

    /// The workflow ids of children that end with the run.
    pub(super) fn children_to_cancel(&self) -> Vec<(CallId, Arc<str>)> {
        let children = self.table.iter().flat_map(|table| table.open_children());
        let ended = children.filter(|(_, child)| child.on_parent_end != OnParentEnd::Abandon);
        ended.map(|(call, child)| (call, Arc::clone(&child.id))).collect()
    }

    /// Signals that are in the history and that no code took.
    pub(super) fn not_taken(&self) -> Vec<(&'static str, Arc<str>)> {
        let signals = self.table.iter().flat_map(|table| table.not_taken());
        signals.map(|(name, body)| (name, Arc::clone(body))).collect()
    }

    /// The signal that an event brings, by its name.
    pub(super) fn signal_of(&self, event: &Event) -> Option<(&'static str, Arc<str>)> {
        let spec = self.call(event.call?)?;
        let Target::Receive(MailKind::Signal) = spec.target else { return None };
        Some((spec.name, Arc::clone(event.payload.as_ref()?)))
    }

    pub(super) fn is_dropped(&self, call: CallId) -> bool {
        self.state(call).is_some_and(|state| matches!(state, SlotState::Dropped))
    }

    fn state(&self, call: CallId) -> Option<&SlotState> {
        self.table.as_ref()?.slot(call).map(|slot| &slot.state)
    }

    pub(super) fn slots(&self, range: Range<u32>) -> &[Slot] {
        let range = range.start as usize..range.end as usize;
        self.table.as_ref().and_then(|table| table.slots.get(range)).unwrap_or_default()
    }
}

impl Drop for Instance {
    /// User values may run code when dropped; they find their table, and a
    /// panic of theirs ends here.
    fn drop(&mut self) {
        let (Some(table), Some(future)) = (self.table.take(), self.future.take()) else { return };
        let (root, branches) = (Arc::clone(&self.root), std::mem::take(&mut self.branches));
        let (table, dropped) =
            current::enter(table, || root.inside(|| panics::catch(|| drop((future, branches)))));
        // Results that were not taken are user values too.
        let dropped = dropped.and(panics::catch(|| drop(table)));
        if let Err(panic) = dropped {
            tracing::error!("a workflow {panic} while it was dropped");
        }
    }
}
