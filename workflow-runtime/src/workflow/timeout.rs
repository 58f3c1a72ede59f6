//! A bound on how long a branch may take.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Sleep, sleep};

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
    Timeout { future: Box::pin(future), sleep: sleep(duration), duration }
}

/// A future with a bound: see [`timeout`].
#[derive(Debug)]
#[must_use = "does nothing until it is awaited"]
pub struct Timeout<F> {
    future: Pin<Box<F>>,
    sleep: Sleep,
    duration: Duration,
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

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let duration = self.duration;
        Pin::new(&mut self.sleep).poll(cx).map(|()| Err(TimedOut(duration)))
    }
}
