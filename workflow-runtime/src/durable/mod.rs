//! What a workflow may await: futures whose results a replay sees again.

#[cfg(feature = "futures")]
mod combinators;
mod foreign;

use std::future::{Future, IntoFuture};
use std::ops::DerefMut;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::lints::Vouched;
use crate::turn::with_table;

/// A future that a workflow may await: every replay gets the same result from
/// it, at the same place in the history.
///
/// In a `#[workflow]` and in a `#[durable]` function `.await` takes these alone;
/// the compiler refuses any other future, whatever name it was imported under.
/// They are
///
/// * calls of a [`#[step]`](macro@crate::step);
/// * what the module [`workflow`](mod@crate::workflow) gives: `sleep`, `timeout`,
///   `map`, the channels and locks of [`sync`](crate::workflow::sync);
/// * calls of functions that are [`#[durable]`](macro@crate::durable);
/// * `async` blocks in workflow code: their own awaits are checked;
/// * combinations of these: `join!`, `select!`, `join_all`,
///   `FuturesUnordered`, `map`, `then`, `shared` and so on, boxes, pins and
///   references;
/// * whatever [`assume_durable`](assume_durable) vouches for.
///
/// The trait is object safe: `Pin<Box<dyn DurableFuture<Output = T>>>` can be
/// awaited, and `Pin<Box<dyn Future<Output = T>>>` cannot.
///
/// # Implementing it
///
/// A future of your own is durable if it only polls durable futures, and decides
/// by nothing but their results. Write `impl DurableFuture for MyFuture {}`.
#[diagnostic::on_unimplemented(
    message = "[WF003] `{Self}` cannot be awaited in a workflow: its result is not recorded",
    label = "a replay would not get the same result here",
    note = "await a call of a `#[step]`, `workflow::sleep(..)`, or a combination of such futures",
    note = "an `async fn` of your own that awaits only these is made durable by `#[durable]`",
    note = "for channels and locks between the branches of a workflow there is `workflow::sync`",
    note = "to answer for it yourself: `workflow::assume_durable(future).await`"
)]
#[must_use = "futures do nothing unless they are awaited"]
pub trait DurableFuture: Future {}

/// A stream whose items every replay gets again, in the same order: its
/// `next().await` stands in a workflow.
///
/// `FuturesUnordered` and `FuturesOrdered` of durable futures, `buffered` and
/// `buffer_unordered` over them, `stream::iter` and the usual adapters are such
/// streams (feature `futures`), and so are the receivers of
/// [`sync::mpsc`](crate::workflow::sync::mpsc).
#[diagnostic::on_unimplemented(
    message = "[WF003] the items of `{Self}` cannot be awaited in a workflow: they are not recorded",
    label = "a replay would not get the same items from it",
    note = "let it hold calls of a `#[step]` or other durable futures",
    note = "to answer for it yourself: `workflow::assume_durable(stream.next()).await`"
)]
pub trait DurableStream {}

impl<F: DurableFuture + Unpin + ?Sized> DurableFuture for &mut F {}
impl<F: DurableFuture + Unpin + ?Sized> DurableFuture for Box<F> {}
impl<P: DerefMut<Target: DurableFuture>> DurableFuture for Pin<P> {}
impl<T> DurableFuture for std::future::Ready<T> {}
impl<T> DurableFuture for std::future::Pending<T> {}

impl<S: DurableStream + ?Sized> DurableStream for &mut S {}
impl<S: DurableStream + ?Sized> DurableStream for Box<S> {}
impl<P: DerefMut<Target: DurableStream>> DurableStream for Pin<P> {}

pin_project! {
    /// A future that is durable because its awaits were checked one by one, or
    /// because somebody vouches for it.
    #[derive(Clone, Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Block<F> {
        #[pin]
        future: F,
    }
}

impl<F> Block<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future }
    }
}

impl<F: Future> Future for Block<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

impl<F: Future> DurableFuture for Block<F> {}

/// Lets a workflow await a future that the compiler cannot know to be durable.
///
/// ```
/// # use workflow_runtime::{Result, workflow};
/// #[workflow]
/// async fn answer() -> Result<u32> {
///     // Its sender is in this workflow too: no outside can decide what it gets.
///     let (sender, receiver) = tokio::sync::oneshot::channel();
///     let _ = sender.send(42);
///     Ok(workflow::assume_durable(receiver).await.unwrap_or(0))
/// }
/// ```
///
/// Whoever writes it vouches for three things:
///
/// * the result is the same in every replay: it comes from the workflow's
///   arguments and from durable futures alone;
/// * nothing outside the run wakes it: no other thread, timer, socket, task;
/// * polling it has no side effects that may not be repeated.
///
/// The engine still watches: a run that something outside wakes is
/// [blocked](crate::Status::Blocked). A wrong result that is there at the first
/// poll is not noticed.
///
/// An `async` block inside is checked like any other. Wrap the foreign future
/// itself, as close as you can.
#[track_caller]
pub fn assume_durable<F: IntoFuture>(future: F) -> impl DurableFuture<Output = F::Output> {
    Assumed { future: future.into_future(), at: Location::caller() }
}

pin_project! {
    /// A future that somebody vouches for.
    struct Assumed<F> {
        #[pin]
        future: F,
        at: &'static Location<'static>,
    }
}

impl<F: Future> Future for Assumed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let vouched = Vouched::begin();
        let polled = this.future.poll(cx);
        vouched.end();
        if polled.is_pending() {
            // If nothing durable wakes the run, this is where to look.
            with_table(|table| table.awaits_assumed(this.at));
        }
        polled
    }
}

impl<F: Future> DurableFuture for Assumed<F> {}
