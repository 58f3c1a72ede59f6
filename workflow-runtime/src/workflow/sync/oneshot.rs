//! A channel for one value, from one branch to another: `tokio::sync::oneshot`
//! within a workflow.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::{LOCAL, Local};
use crate::durable::{Block, DurableFuture};

/// A channel for one value.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = oneshot::channel();
    (Sender(sender, LOCAL), Receiver(receiver, LOCAL))
}

/// Sends the value. Dropped without it, the receiver gets an error.
pub struct Sender<T>(oneshot::Sender<T>, Local);

/// Receives the value: await it.
///
/// # Cancel safety
///
/// `&mut receiver` can be awaited and dropped, and nothing is lost. Dropping the
/// receiver itself closes the channel.
#[must_use = "does nothing until it is awaited"]
pub struct Receiver<T>(oneshot::Receiver<T>, Local);

/// The sender is gone and has sent nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecvError(());

/// Why there is no value at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TryRecvError {
    /// There is none yet: await the receiver.
    Empty,
    /// There never will be: the sender is gone, or the value was taken.
    Closed,
}

impl<T> Sender<T> {
    /// Sends. It never waits.
    ///
    /// # Errors
    ///
    /// The value, if the receiver is gone or closed.
    pub fn send(self, value: T) -> Result<(), T> {
        self.0.send(value)
    }

    /// Waits until nobody can receive any more.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing is lost.
    pub fn closed(&mut self) -> impl DurableFuture<Output = ()> {
        Block::new(self.0.closed())
    }

    /// Whether nobody can receive any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl<T> Receiver<T> {
    /// The value, if it is there.
    ///
    /// # Errors
    ///
    /// It is not there yet, or will never be.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.0.try_recv().map_err(|error| match error {
            oneshot::error::TryRecvError::Empty => TryRecvError::Empty,
            oneshot::error::TryRecvError::Closed => TryRecvError::Closed,
        })
    }

    /// Lets nobody send any more. What was sent can still be received.
    pub fn close(&mut self) {
        self.0.close();
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(|_| RecvError(()))
    }
}

impl<T> DurableFuture for Receiver<T> {}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("closed", &self.is_closed()).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sender of the channel is gone and has sent nothing")
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "nothing was sent yet",
            Self::Closed => "nothing will be sent any more",
        })
    }
}

impl std::error::Error for RecvError {}
impl std::error::Error for TryRecvError {}
