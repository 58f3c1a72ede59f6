//! A bound on how long a branch may take.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::{DurableFuture, Sleep, sleep};

/// Gives `future` that long; then drops it, which stops its steps.
///
/// The bound is durable: it goes on counting across restarts.
///
/// # Errors
///
/// [`TimedOut`], when the time is over first. If both are there in one moment,
/// the future's result wins.
#[track_caller]
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep(duration), duration }
}

pin_project! {
    /// A future with a bound: see [`timeout`].
    #[derive(Debug)]
    #[must_use = "does nothing until it is awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        sleep: Sleep,
        duration: Duration,
    }
}

/// The time was over first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TimedOut(Duration);

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not done within {:?}", self.0)
    }
}

impl std::error::Error for TimedOut {}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, TimedOut>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let duration = *this.duration;
        Pin::new(this.sleep).poll(cx).map(|()| Err(TimedOut(duration)))
    }
}

impl<F: DurableFuture> DurableFuture for Timeout<F> {}
