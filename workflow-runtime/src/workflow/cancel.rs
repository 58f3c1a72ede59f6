//! What a cancellation does to code that wants a say in it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{DurableFuture, table};
use crate::error::Cancelled;
use crate::turn::{ScopeId, Standing, with_table};

/// Waits for `future` and lets this code decide what a cancellation of the run
/// means: the future is dropped, and what stands after it goes on.
///
/// ```
/// # use workflow_runtime::{Result, step};
/// # #[step] async fn reserve(room: u32) -> Result<u32> { Ok(room) }
/// # #[step] async fn release(room: u32) -> Result<()> { Ok(()) }
/// # #[step] async fn charge(room: u32) -> Result<u32> { Ok(room) }
/// use workflow_runtime::workflow;
///
/// #[workflow]
/// async fn book(room: u32) -> Result<u32> {
///     let room = reserve(room).await?;
///     match workflow::cancellable(charge(room)).await {
///         Ok(receipt) => receipt,
///         Err(cancelled) => {
///             release(room).await?;
///             Err(cancelled.into())
///         }
///     }
/// }
/// ```
///
/// # Guarantees
///
/// A cancellation goes to the innermost `cancellable` that is awaited, in each
/// branch that has one, and nowhere else: everything beside it goes on. If none
/// is awaited, the workflow's own future is dropped. A run that ends with an
/// error after a cancellation is *cancelled*, with that error; one that ends
/// with `Ok` is completed. Each cancellation is delivered once.
///
/// What is [`shielded`] in it ends first.
///
/// # Errors
///
/// [`Cancelled`].
///
/// # Panics
///
/// When awaited outside a workflow.
pub fn cancellable<F: Future>(future: F) -> Cancellable<F> {
    Cancellable { future: Some(Box::pin(future)), scope: None }
}

/// A future with a say in cancellation: see [`cancellable`].
#[must_use = "does nothing until it is awaited"]
pub struct Cancellable<F> {
    /// None once it is done.
    future: Option<Pin<Box<F>>>,
    scope: Option<ScopeId>,
}

impl<F> fmt::Debug for Cancellable<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cancellable")
    }
}

/// Goes back to where the poll stood, also when the user's code panics.
struct Back(Standing);

impl Drop for Back {
    fn drop(&mut self) {
        with_table(|table| table.scopes.back(self.0));
    }
}

impl<F: Future> Future for Cancellable<F> {
    type Output = Result<F::Output, Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { future, scope } = &mut *self;
        let Some(running) = future else { return Poll::Pending };
        let entered = table("cancellable", |table| {
            // Cancelled before it began: it never does.
            if scope.is_none() && table.is_stopped() {
                return None;
            }
            let id = *scope.get_or_insert_with(|| table.scopes.open());
            Some((id, table.scopes.enter(id, cx.waker())))
        });
        let Some((id, before)) = entered else { return Poll::Pending };
        let back = Back(before);
        let is_over = || with_table(|table| table.scopes.is_over(id)).unwrap_or(false);
        let mut polled = Poll::Pending;
        if !is_over() {
            polled = running.as_mut().poll(cx).map(Ok);
        }
        if polled.is_pending() && is_over() {
            polled = Poll::Ready(Err(Cancelled(())));
        }
        if polled.is_ready() {
            // In its scope: what it drops belongs there.
            *future = None;
            with_table(|table| table.scopes.close(id));
        }
        drop(back);
        polled
    }
}

impl<F: DurableFuture> DurableFuture for Cancellable<F> {}

impl<F> Drop for Cancellable<F> {
    fn drop(&mut self) {
        if let (Some(scope), Some(_)) = (self.scope, &self.future) {
            with_table(|table| table.scopes.close(scope));
        }
    }
}

/// Waits for `future` and lets no cancellation reach it: it ends, and its steps
/// are recorded, before the code around it is dropped.
///
/// ```
/// # use workflow_runtime::{Result, step};
/// # #[step] async fn charge(cents: u64) -> Result<u32> { Ok(1) }
/// # #[step] async fn note(receipt: u32) -> Result<()> { Ok(()) }
/// use workflow_runtime::workflow;
///
/// #[workflow]
/// async fn pay(cents: u64) -> Result<()> {
///     workflow::shielded(async {
///         let receipt = charge(cents).await?;
///         note(receipt).await
///     })
///     .await
/// }
/// ```
///
/// # Guarantees
///
/// When the run is cancelled, everything that is not shielded is stopped at
/// once, and the shielded future runs to its end. What would come after it does
/// not run any more. `terminate` ends a run whatever is shielded.
///
/// Code that was stopped keeps what it holds until the run ends: a shielded
/// future must not wait for a lock, a message or a notification that only code
/// outside of the shield would give. If it does, the run is blocked, and says
/// so.
///
/// # Panics
///
/// When awaited outside a workflow.
pub fn shielded<F: Future>(future: F) -> Shielded<F> {
    Shielded { future: Some(Box::pin(future)), shield: Shield::Unpolled, withheld: None }
}

/// A future that no cancellation reaches: see [`shielded`].
#[must_use = "does nothing until it is awaited"]
pub struct Shielded<F: Future> {
    /// None once it is done.
    future: Option<Pin<Box<F>>>,
    shield: Shield,
    /// Its output, where what waits for it is cancelled.
    withheld: Option<Box<F::Output>>,
}

#[derive(Clone, Copy)]
enum Shield {
    Unpolled,
    /// Open in that scope; in none if it stands behind another shield.
    Open(Option<ScopeId>),
    Closed,
}

impl<F: Future> Unpin for Shielded<F> {}

impl<F: Future> fmt::Debug for Shielded<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shielded")
    }
}

impl<F: Future> Future for Shielded<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, shield, withheld } = &mut *self;
        let Some(running) = future else { return Poll::Pending };
        let stopped = table("shielded", |table| match shield {
            // Cancelled before it began: it never does.
            Shield::Unpolled if table.is_stopped() => true,
            Shield::Unpolled => {
                *shield = Shield::Open(table.scopes.shield());
                false
            }
            Shield::Open(_) | Shield::Closed => false,
        });
        if stopped {
            return Poll::Pending;
        }
        let back = table("shielded", |table| Back(table.scopes.enter_shield()));
        let polled = running.as_mut().poll(cx);
        if polled.is_ready() {
            *future = None;
        }
        drop(back);
        let Poll::Ready(output) = polled else { return Poll::Pending };
        if close(shield) {
            *withheld = Some(Box::new(output));
            return Poll::Pending;
        }
        Poll::Ready(output)
    }
}

impl<F: DurableFuture> DurableFuture for Shielded<F> {}

/// Closes a shield. True: what waits behind it is cancelled.
fn close(shield: &mut Shield) -> bool {
    match std::mem::replace(shield, Shield::Closed) {
        Shield::Open(Some(scope)) => {
            with_table(|table| table.scopes.unshield(scope)).unwrap_or(false)
        }
        Shield::Open(None) | Shield::Unpolled | Shield::Closed => false,
    }
}

impl<F: Future> Drop for Shielded<F> {
    fn drop(&mut self) {
        close(&mut self.shield);
    }
}
