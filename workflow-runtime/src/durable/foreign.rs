//! Futures of other crates: which are durable, and better words for those that
//! are often tried and are not.
//!
//! A refused type gets its words by an implementation whose bound never holds:
//! the compiler reports the bound. The bound has a lifetime, or it would be an
//! error here already.

use std::marker::PhantomData;

use super::DurableFuture;

/// Never implemented; see above.
#[derive(Debug)]
pub struct Foreign<'a, T: ?Sized>(PhantomData<&'a T>);

#[diagnostic::on_unimplemented(
    message = "[WF003] a timer of `tokio` cannot be awaited in a workflow: a crash forgets it",
    label = "use `workflow::sleep(duration)` here",
    note = "`workflow::sleep` records when it is over, and goes on after a restart"
)]
pub trait DurableSleep {}

impl DurableFuture for tokio::time::Sleep where for<'a> Foreign<'a, Self>: DurableSleep {}

#[diagnostic::on_unimplemented(
    message = "[WF003] `tokio::time::timeout` cannot be awaited in a workflow: a crash forgets it",
    label = "use `workflow::timeout(duration, future)` here",
    note = "`workflow::timeout` records when it is over, and goes on after a restart"
)]
pub trait DurableTimeout {}

impl<F> DurableFuture for tokio::time::Timeout<F>
where
    Self: Future,
    for<'a> Foreign<'a, Self>: DurableTimeout,
{
}

#[diagnostic::on_unimplemented(
    message = "[WF003] a spawned task cannot be awaited in a workflow: it runs without a record",
    label = "use `tokio::join!`, `workflow::map(..)`, or do the work in a `#[step]`",
    note = "the branches of a workflow run at the same time without tasks: await them together"
)]
pub trait DurableTask {}

impl<T> DurableFuture for tokio::task::JoinHandle<T> where for<'a> Foreign<'a, Self>: DurableTask {}

#[diagnostic::on_unimplemented(
    message = "[WF003] a channel of `tokio` cannot be awaited in a workflow: who sends may be outside",
    label = "use `workflow::sync::oneshot` here",
    note = "the channels of `workflow::sync` cannot leave the workflow that made them"
)]
pub trait DurableChannel {}

impl<T> DurableFuture for tokio::sync::oneshot::Receiver<T> where
    for<'a> Foreign<'a, Self>: DurableChannel
{
}

#[diagnostic::on_unimplemented(
    message = "[WF003] a `Notify` of `tokio` cannot be awaited in a workflow: who notifies may be outside",
    label = "use `workflow::sync::Notify` here",
    note = "what `workflow::sync` gives cannot leave the workflow that made it"
)]
pub trait DurableNotify {}

impl DurableFuture for tokio::sync::futures::Notified<'_> where
    for<'a> Foreign<'a, tokio::sync::Notify>: DurableNotify
{
}

impl<F: DurableFuture> DurableFuture for tracing::instrument::Instrumented<F> {}
impl<F: DurableFuture> DurableFuture for tracing::instrument::WithDispatch<F> {}
