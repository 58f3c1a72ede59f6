//! Branches that run beside the workflow's own code.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::{DurableFuture, table};
use crate::turn::BranchFuture;

/// Runs `future` beside the code that goes on, as a branch of this workflow:
/// nothing runs on another thread, and a replay repeats it.
///
/// ```
/// # use workflow_runtime::{Result, step};
/// # #[step] async fn notify(order: u32) -> Result<()> { Ok(()) }
/// # #[step] async fn ship(order: u32) -> Result<u32> { Ok(order) }
/// use workflow_runtime::workflow;
///
/// #[workflow]
/// async fn hand_over(order: u32) -> Result<u32> {
///     let notified = workflow::spawn(async move { notify(order).await });
///     let parcel = ship(order).await?;
///     notified.await?;
///     Ok(parcel)
/// }
/// ```
///
/// # Guarantees
///
/// It is polled first when the code around it waits. A branch that still runs
/// when the workflow returns, or is cancelled, is dropped: its steps stop. A
/// panic in it is a panic of the workflow. Spawned inside
/// [`shielded`](super::shielded), it is shielded too.
///
/// # Panics
///
/// Outside a workflow.
#[track_caller]
pub fn spawn<F>(future: F) -> Branch<F::Output>
where
    F: DurableFuture + 'static,
{
    let shared = Rc::new(RefCell::new(Shared::default()));
    let running = Running { future: Some(Box::pin(future)), shared: Rc::clone(&shared) };
    let branch: BranchFuture = Box::pin(running);
    table("spawn", |table| table.spawn(branch));
    Branch(shared)
}

/// A branch that was spawned: awaited, it gives its output. Dropping it changes
/// nothing: the branch goes on.
#[must_use = "the branch runs in any case; await it to have its output"]
pub struct Branch<T>(Rc<RefCell<Shared<T>>>);

struct Shared<T> {
    output: Option<T>,
    /// Of whoever awaits it.
    waker: Option<Waker>,
    /// Its own, since it was polled.
    branch: Option<Waker>,
    aborted: bool,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { output: None, waker: None, branch: None, aborted: false }
    }
}

impl<T> fmt::Debug for Branch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Branch")
    }
}

impl<T> Branch<T> {
    /// Stops the branch: its future is dropped when this code waits next.
    pub fn abort(self) {
        let mut shared = self.0.borrow_mut();
        shared.aborted = true;
        let waker = shared.branch.take();
        drop(shared);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Branch<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut shared = self.0.borrow_mut();
        match shared.output.take() {
            Some(output) => Poll::Ready(output),
            None => {
                shared.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> DurableFuture for Branch<T> {}

/// The branch as the engine polls it.
struct Running<F: Future> {
    future: Option<Pin<Box<F>>>,
    shared: Rc<RefCell<Shared<F::Output>>>,
}

impl<F: Future> Unpin for Running<F> {}

impl<F: Future> Future for Running<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.borrow().aborted {
            self.future = None;
            return Poll::Ready(());
        }
        let Some(future) = self.future.as_mut() else { return Poll::Ready(()) };
        let Poll::Ready(output) = future.as_mut().poll(cx) else {
            self.shared.borrow_mut().branch = Some(cx.waker().clone());
            return Poll::Pending;
        };
        self.future = None;
        let mut shared = self.shared.borrow_mut();
        shared.output = Some(output);
        let waker = shared.waker.take();
        drop(shared);
        if let Some(waker) = waker {
            waker.wake();
        }
        Poll::Ready(())
    }
}
