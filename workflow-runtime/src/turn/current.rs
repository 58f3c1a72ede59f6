//! The table of the run that is being polled, in thread-local storage for
//! exactly that long: moved in, moved out, no lock.

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Fault;
use super::table::{CallSpec, SlotState, Table};
use crate::model::{CallId, StepOutcome};

thread_local! {
    static CURRENT: Cell<Option<Box<Table>>> = const { Cell::new(None) };
}

/// Where a call stands between its polls. Plain data: a call is `Send`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Place {
    /// Not polled yet: it has no position.
    #[default]
    Unpolled,
    /// Has a position in the table of that number.
    Made { instance: u64, call: CallId },
    /// Its outcome was taken.
    Done,
}

/// What polling a call gave.
#[derive(Debug)]
pub(crate) enum Polled {
    Pending,
    Ready(StepOutcome),
    /// No workflow is being polled here, or another than the call belongs to.
    Outside,
}

/// Runs `body` with the current table, if a workflow is being polled.
pub(crate) fn with_table<R>(body: impl FnOnce(&mut Table) -> R) -> Option<R> {
    /// Gives the table back also when `body` panics.
    struct Back(Option<Box<Table>>);

    impl Drop for Back {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }

    let table = CURRENT.try_with(Cell::take).ok().flatten()?;
    let mut back = Back(Some(table));
    back.0.as_deref_mut().map(body)
}

/// Puts `table` in place for the time of `body`.
pub(super) fn enter<R>(table: Box<Table>, body: impl FnOnce() -> R) -> (Option<Box<Table>>, R) {
    let outer = CURRENT.replace(Some(table));
    let result = body();
    (CURRENT.replace(outer), result)
}

/// Polls a durable call. It takes its position at its first poll.
pub(crate) fn poll_call(
    place: &mut Place,
    cx: &mut Context<'_>,
    spec: impl FnOnce(&Table) -> CallSpec,
) -> Polled {
    let polled = with_table(|table| match *place {
        // Cancelled: what would come next never does.
        Place::Unpolled if table.is_stopped() => Polled::Pending,
        Place::Unpolled => {
            let spec = spec(table);
            let call = table.make(spec, cx.waker().clone());
            *place = Place::Made { instance: table.instance, call };
            // A signal that was given back is there at once.
            match table.take_ready(call) {
                None => Polled::Pending,
                Some(outcome) => {
                    *place = Place::Done;
                    Polled::Ready(outcome)
                }
            }
        }
        Place::Made { instance, call } if instance == table.instance => {
            match poll_slot(table, call, cx) {
                Poll::Pending => Polled::Pending,
                Poll::Ready(outcome) => {
                    *place = Place::Done;
                    Polled::Ready(outcome)
                }
            }
        }
        Place::Made { .. } | Place::Done => Polled::Outside,
    });
    polled.unwrap_or(Polled::Outside)
}

fn poll_slot(table: &mut Table, call: CallId, cx: &mut Context<'_>) -> Poll<StepOutcome> {
    let Some(slot) = table.slot_mut(call) else { return Poll::Pending };
    match std::mem::replace(&mut slot.state, SlotState::Taken) {
        SlotState::Ready(outcome) => {
            slot.spec.args = Arc::default();
            Poll::Ready(outcome)
        }
        SlotState::Waiting(mut waker) => {
            waker.clone_from(cx.waker());
            slot.state = SlotState::Waiting(waker);
            Poll::Pending
        }
        other @ (SlotState::Taken | SlotState::Dropped | SlotState::Detached) => {
            slot.state = other;
            Poll::Pending
        }
    }
}

/// Makes a call that is waited for later, or never.
pub(crate) fn make_call(spec: impl FnOnce(&Table) -> CallSpec) -> Option<Place> {
    with_table(|table| {
        let spec = spec(table);
        let call = table.make(spec, Waker::noop().clone());
        Place::Made { instance: table.instance, call }
    })
}

/// Nobody waits for a call any more, and it goes on.
pub(crate) fn detach_call(place: Place) {
    let Place::Made { instance, call } = place else { return };
    with_table(|table| {
        if table.instance == instance {
            table.detach(call);
        }
    });
}

/// Tells the table that a call was dropped. Nothing to do outside its poll.
pub(crate) fn drop_call(place: Place) {
    let Place::Made { instance, call } = place else { return };
    with_table(|table| {
        if table.instance == instance {
            table.drop_call(call);
        }
    });
}

/// Sets the run aside at the end of this poll; the first fault counts.
pub(crate) fn set_fault(fault: Fault) {
    with_table(|table| {
        table.fault.get_or_insert(fault);
    });
}
