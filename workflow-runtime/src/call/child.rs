//! Children: runs that a workflow starts, awaits and directs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Call, Options, Workflow, spec};
use crate::codec::fingerprint;
use crate::durable::DurableFuture;
use crate::error::Failure;
use crate::model::{MAX_ID, read_meta, write_meta};
use crate::turn::{
    ChildSpec, Place, Polled, Table, Target, detach_call, make_call, poll_call, seed_of_child,
    with_table,
};

/// Starts a child and goes on; the handle awaits its end.
///
/// ```
/// # use workflow_runtime::{Result, step, workflow};
/// # #[step] async fn label(order: u32) -> Result<String> { Ok(order.to_string()) }
/// #[workflow]
/// async fn pack(order: u32) -> Result<String> {
///     label(order).await
/// }
///
/// #[workflow]
/// async fn pack_both(first: u32, second: u32) -> Result<String> {
///     let first = workflow::start(pack(first));
///     let second = workflow::start(pack(second));
///     Ok(format!("{}, {}", first.await?, second.await?))
/// }
/// ```
///
/// The child is a run of its own, under an id of its own that is derived from its
/// parent's; [`Call::id`] gives another. Whoever has the workflow runs it.
/// [`Call::on_parent_end`] says what becomes of it when its parent ends first; the
/// [meta](Call::meta) of the parent is its own too.
///
/// # Guarantees
///
/// The start is one commit with what led to it: after a crash there is one child,
/// and the parent finds it. Its result is in the parent's history once.
///
/// # Errors
///
/// Awaited, the handle gives what the child returned. A workflow id that belongs
/// to another run is a failure of kind
/// [`Undelivered`](crate::FailureKind::Undelivered), and a child that was cancelled
/// one of kind [`Cancelled`](crate::FailureKind::Cancelled): neither ends the parent.
///
/// # Panics
///
/// Outside a workflow.
#[track_caller]
pub fn start<W: Workflow>(mut call: Call<W>) -> Child<W> {
    let at = call.at;
    let limit = with_table(|table| table.info().payload_limit);
    let Some(limit) = limit else { outside(W::NAME, at) };
    let begun = call.encode(limit).map(|args| {
        let options = std::mem::take(&mut call.options);
        let mut id = Arc::default();
        let place = make_call(|table| {
            let spec = spec::<W>(args, options, at)(table);
            if let Target::Child(child) = &spec.target {
                id = Arc::clone(&child.id);
            }
            spec
        });
        (place.unwrap_or_default(), id)
    });
    match begun {
        Ok((place, id)) => Child { place, id, refused: None, call },
        Err(failure) => {
            Child { place: Place::Done, id: Arc::default(), refused: Some(failure), call }
        }
    }
}

#[expect(clippy::panic, reason = "there is no error to return, and nothing may run unrecorded")]
fn outside(name: &str, at: &std::panic::Location<'_>) -> ! {
    panic!(
        "`workflow::start` of `{name}` at {at} was called outside a workflow: it works inside a \
         `#[workflow]` only. Elsewhere a client starts runs: `client.start({name}(..)).await`"
    );
}

/// A child that was started: a future of its result. See
/// [`workflow::start`](crate::workflow::start).
///
/// # Cancel safety
///
/// Dropped, the child goes on, and its result is not waited for. What becomes of it
/// when its parent ends is another matter: [`Call::on_parent_end`].
#[must_use = "the child runs, and nobody waits for its result: `drop` it to say so"]
pub struct Child<W: Workflow> {
    place: Place,
    id: Arc<str>,
    /// It could not be started.
    refused: Option<Failure>,
    call: Call<W>,
}

impl<W: Workflow> fmt::Debug for Child<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Child({} {})", W::NAME, self.id)
    }
}

impl<W: Workflow> Child<W> {
    /// The workflow id of the child.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl<W: Workflow> Unpin for Child<W> {}

impl<W: Workflow> Future for Child<W> {
    type Output = W::Return;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<W::Return> {
        let fail = |failure| Poll::Ready((W::returns().fail)(failure));
        if let Some(failure) = self.refused.take() {
            return fail(failure);
        }
        let at = self.call.at;
        // Made when it was started: no spec is asked for.
        let polled =
            poll_call(&mut self.place, cx, spec::<W>(Arc::default(), Options::default(), at));
        match polled {
            Polled::Pending => Poll::Pending,
            Polled::Outside => fail(self.call.outside()),
            Polled::Ready(outcome) => Call::<W>::decode(outcome).map_or(Poll::Pending, Poll::Ready),
        }
    }
}

impl<W: Workflow> DurableFuture for Child<W> {}

impl<W: Workflow> Drop for Child<W> {
    fn drop(&mut self) {
        detach_call(self.place);
    }
}

/// What a call of a workflow starts in a workflow.
pub(super) fn target(name: &str, options: Options, table: &Table) -> Target {
    let info = table.info();
    let number = table.calls();
    let id = options.id.unwrap_or_else(|| derived(&info.id, info.generation, name, number));
    let mut meta = read_meta(info.meta.as_deref());
    meta.extend(options.meta);
    // What the parent was started with was checked, and a bad key is not handed on.
    let meta = write_meta(&meta).unwrap_or_else(|_| info.meta.clone());
    let (seed, on_parent_end) = (seed_of_child(info.seed, &id), options.on_parent_end);
    Target::Child(Box::new(ChildSpec { id, seed, meta, on_parent_end }))
}

/// The workflow id of a child: `order-7/ship-3` is the fourth call of `order-7`, a
/// call of `ship`.
fn derived(parent: &str, generation: u32, name: &str, call: u32) -> Arc<str> {
    let own = match generation {
        0 | 1 => format!("/{name}-{call}"),
        later => format!("/{name}-{later}.{call}"),
    };
    if parent.len() + own.len() <= MAX_ID {
        return format!("{parent}{own}").into();
    }
    // A deep family: what does not fit is a hash of it.
    let short = format!("{:016x}", fingerprint(parent));
    let room = MAX_ID.saturating_sub(own.len() + short.len() + 1);
    let kept = parent.char_indices().map(|(at, _)| at).take_while(|at| *at <= room).last();
    format!("{}~{short}{own}", &parent[..kept.unwrap_or(0)]).into()
}
