//! The replay engine under a seeded simulation, and its single rules.

mod bench;
mod chance;
mod exhaustive;
mod programs;
mod rules;
mod simulation;

use std::cell::RefCell;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{CallSpec, Place, Polled, Table, Target, drop_call, poll_call};
use crate::codec::fingerprint;
use crate::model::{Encoded, Ended, WorkflowFuture};

thread_local! {
    static TRACE: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What the program under test did, in its order. Replays write it too.
pub(super) fn trace(text: impl Into<String>) {
    TRACE.with_borrow_mut(|trace| trace.push(text.into()));
}

pub(super) fn take_trace() -> Vec<String> {
    TRACE.take()
}

/// A durable call of the engine alone, without the typed layer above it.
pub(super) struct TestCall {
    place: Place,
    name: &'static str,
    args: Arc<str>,
    timer_ms: Option<u64>,
    /// Its result need not be that of its arguments.
    untyped: bool,
    at: &'static Location<'static>,
}

/// A step whose result is taken as it is.
#[track_caller]
pub(super) fn untyped(name: &'static str, args: &str) -> TestCall {
    let mut call = step(name, args);
    call.untyped = true;
    call
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "programs read better")]
pub(super) fn step(name: &'static str, args: impl ToString) -> TestCall {
    let args = serde_json::to_string(&[args.to_string()]).unwrap().into();
    let at = Location::caller();
    TestCall { place: Place::default(), name, args, timer_ms: None, untyped: false, at }
}

#[track_caller]
pub(super) fn sleep(millis: u64) -> TestCall {
    let args = format!("[{millis}]").into();
    let at = Location::caller();
    let (place, timer_ms) = (Place::default(), Some(millis));
    TestCall { place, name: "sleep", args, timer_ms, untyped: false, at }
}

/// The result that belongs to a step: a result at another call is noticed.
pub(super) fn result_of(name: &str, args: &str) -> String {
    serde_json::to_string(&format!("{name}{args}")).unwrap()
}

impl Future for TestCall {
    type Output = String;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<String> {
        let Self { place, name, args, timer_ms, untyped, at } = &mut *self;
        let spec = |table: &Table| CallSpec {
            target: match timer_ms {
                None => Target::Step { definition: None, overrides: None },
                Some(ms) => {
                    Target::Timer { due: table.now() + std::time::Duration::from_millis(*ms) }
                }
            },
            name,
            was: &[],
            args: Arc::clone(args),
            hash: fingerprint(args),
            at,
        };
        match poll_call(place, cx, spec) {
            Polled::Pending => Poll::Pending,
            Polled::Ready(outcome) if timer_ms.is_some() || *untyped => {
                Poll::Ready(outcome.text.to_string())
            }
            Polled::Ready(outcome) => {
                assert_eq!(*outcome.text, result_of(name, args), "a result moved between calls");
                Poll::Ready(serde_json::from_str(&outcome.text).unwrap())
            }
            Polled::Outside => panic!("{name} was awaited outside its workflow"),
        }
    }
}

impl Drop for TestCall {
    fn drop(&mut self) {
        drop_call(self.place);
    }
}

/// A program as the engine takes it.
pub(super) fn workflow(body: impl Future<Output = String> + 'static) -> WorkflowFuture {
    Box::pin(async move {
        let text = body.await;
        trace(format!("end {text}"));
        Encoded::new(text, Ended::Completed)
    })
}
