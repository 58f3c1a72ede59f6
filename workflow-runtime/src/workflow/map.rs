//! The same for every item, so many at a time.

use std::fmt;
use std::future::Future;
use std::iter::Fuse;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream as _;
use futures_util::stream::FuturesUnordered;
use pin_project_lite::pin_project;

use super::DurableFuture;

/// Calls `f` for each item and awaits what it gives: all at once, or
/// [so many at a time](Map::concurrency). The results stand in the order of
/// the items.
///
/// ```
/// # use workflow_runtime::{Result, step, workflow};
/// # #[step] async fn charge(order: u32) -> Result<String> { Ok(order.to_string()) }
/// #[workflow]
/// async fn charge_all(orders: Vec<u32>) -> Result<Vec<String>> {
///     let receipts: Vec<Result<String>> = workflow::map(orders, charge).concurrency(8).await;
///     receipts.into_iter().collect()
/// }
/// ```
///
/// `f` is a step, or a closure that gives a durable future; in a workflow an
/// `async move` block is one. It is called for an item when that item starts,
/// in the order of the items. A failed item stops nothing: its result is among
/// the others.
///
/// The order of the items must be the same in every replay: take a `Vec` or a
/// `BTreeMap`, not a `HashMap`.
///
/// # Cancel safety
///
/// Dropped, it drops what runs, which stops its steps; items that have not
/// started never start.
pub fn map<I, F, A>(items: I, f: F) -> Map<I::IntoIter, F, A>
where
    I: IntoIterator,
    F: FnMut(I::Item) -> A,
    A: DurableFuture,
{
    Map {
        items: items.into_iter().fuse(),
        f,
        limit: usize::MAX,
        running: FuturesUnordered::new(),
        results: Vec::new(),
    }
}

/// A durable future over many items: see [`map`].
#[must_use = "does nothing until it is awaited"]
pub struct Map<I, F, A: Future> {
    items: Fuse<I>,
    f: F,
    limit: usize,
    running: FuturesUnordered<Numbered<A>>,
    /// By the number of the item; those that run have none.
    results: Vec<Option<A::Output>>,
}

pin_project! {
    struct Numbered<A> {
        number: usize,
        #[pin]
        future: A,
    }
}

impl<I, F, A: Future> Map<I, F, A> {
    /// At most `limit` items run at a time, and at least one. Default: all.
    pub fn concurrency(mut self, limit: usize) -> Self {
        self.limit = limit.max(1);
        self
    }
}

/// Nothing in it is pinned in place: what runs stands on the heap.
impl<I, F, A: Future> Unpin for Map<I, F, A> {}

impl<I, F, A> Future for Map<I, F, A>
where
    I: Iterator,
    F: FnMut(I::Item) -> A,
    A: Future,
{
    type Output = Vec<A::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            while this.running.len() < this.limit
                && let Some(item) = this.items.next()
            {
                let (number, future) = (this.results.len(), (this.f)(item));
                this.results.push(None);
                this.running.push(Numbered { number, future });
            }
            match ready!(Pin::new(&mut this.running).poll_next(cx)) {
                Some((number, result)) => this.results[number] = Some(result),
                None => return Poll::Ready(this.results.drain(..).flatten().collect()),
            }
        }
    }
}

/// Only [`map`] makes one, and it takes durable futures alone.
impl<I, F, A: Future> DurableFuture for Map<I, F, A> where Self: Future {}

impl<A: Future> Future for Numbered<A> {
    type Output = (usize, A::Output);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.future.poll(cx).map(|result| (*this.number, result))
    }
}

impl<I, F, A: Future> fmt::Debug for Map<I, F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let started = self.results.len();
        let mut text = f.debug_struct("Map");
        text.field("started", &started).field("running", &self.running.len());
        text.finish_non_exhaustive()
    }
}
