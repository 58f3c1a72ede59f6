//! A channel for many values, from many branches to one: `tokio::sync::mpsc`
//! within a workflow.

use std::fmt;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error;

use super::{LOCAL, Local};
use crate::durable::{Block, DurableFuture};

/// A channel that holds up to `capacity` values; who sends more waits.
///
/// # Panics
///
/// If `capacity` is 0.
#[must_use]
#[track_caller]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel(capacity);
    (Sender(sender, LOCAL), Receiver(receiver, LOCAL))
}

/// A channel that holds as many values as are sent; sending never waits.
#[must_use]
pub fn unbounded_channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (UnboundedSender(sender, LOCAL), UnboundedReceiver(receiver, LOCAL))
}

/// Sends into a [`channel`]. Clones send into the same one.
pub struct Sender<T>(mpsc::Sender<T>, Local);

/// Sends into an [`unbounded_channel`]. Clones send into the same one.
pub struct UnboundedSender<T>(mpsc::UnboundedSender<T>, Local);

/// Receives from a [`channel`].
pub struct Receiver<T>(mpsc::Receiver<T>, Local);

/// Receives from an [`unbounded_channel`].
pub struct UnboundedReceiver<T>(mpsc::UnboundedReceiver<T>, Local);

/// Nobody can receive any more; the value that was not sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SendError<T>(pub T);

/// Why a value was not sent at once; with the value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TrySendError<T> {
    /// There is no room now: send it with `send`.
    Full(T),
    /// Nobody can receive any more.
    Closed(T),
}

/// Why there is no value at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TryRecvError {
    /// There is none now: wait with `recv`.
    Empty,
    /// There never will be: all senders are gone.
    Disconnected,
}

impl<T> Sender<T> {
    /// Sends, when there is room.
    ///
    /// # Errors
    ///
    /// The receiver is gone or closed.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, the value is not sent and is dropped with it, and
    /// the place in the queue is lost.
    pub fn send(&self, value: T) -> impl DurableFuture<Output = Result<(), SendError<T>>> {
        let sent = self.0.send(value);
        Block::new(async move { sent.await.map_err(|error| SendError(error.0)) })
    }

    /// Sends at once, or not at all.
    ///
    /// # Errors
    ///
    /// The channel is full, or the receiver is gone or closed.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.0.try_send(value).map_err(|error| match error {
            error::TrySendError::Full(value) => TrySendError::Full(value),
            error::TrySendError::Closed(value) => TrySendError::Closed(value),
        })
    }

    /// Waits until nobody can receive any more.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing is lost.
    pub fn closed(&self) -> impl DurableFuture<Output = ()> {
        Block::new(self.0.closed())
    }

    /// Whether nobody can receive any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// For how many values there is room now.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// For how many values there is room in all.
    #[must_use]
    pub fn max_capacity(&self) -> usize {
        self.0.max_capacity()
    }
}

impl<T> UnboundedSender<T> {
    /// Sends. It never waits.
    ///
    /// # Errors
    ///
    /// The receiver is gone or closed.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.0.send(value).map_err(|error| SendError(error.0))
    }

    /// Waits until nobody can receive any more.
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing is lost.
    pub fn closed(&self) -> impl DurableFuture<Output = ()> {
        Block::new(self.0.closed())
    }

    /// Whether nobody can receive any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

macro_rules! receivers {
    ($($receiver:ident)*) => {$(
        impl<T> $receiver<T> {
            /// The next value, in the order in which they were sent; `None` when
            /// all senders are gone, or the channel is closed, and it is empty.
            ///
            /// # Cancel safety
            ///
            /// Dropped, no value is lost.
            pub fn recv(&mut self) -> impl DurableFuture<Output = Option<T>> {
                Block::new(self.0.recv())
            }

            /// The next value, if there is one now.
            ///
            /// # Errors
            ///
            /// There is none now, or none will ever come.
            pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
                self.0.try_recv().map_err(|error| match error {
                    error::TryRecvError::Empty => TryRecvError::Empty,
                    error::TryRecvError::Disconnected => TryRecvError::Disconnected,
                })
            }

            /// Lets nobody send any more. What was sent can still be received.
            pub fn close(&mut self) {
                self.0.close();
            }

            /// How many values wait.
            #[must_use]
            pub fn len(&self) -> usize {
                self.0.len()
            }

            /// Whether no value waits.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        #[cfg(feature = "futures")]
        impl<T> futures_util::Stream for $receiver<T> {
            type Item = T;

            fn poll_next(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<T>> {
                self.0.poll_recv(cx)
            }
        }

        impl<T> crate::durable::DurableStream for $receiver<T> {}

        impl<T> fmt::Debug for $receiver<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($receiver)).field("len", &self.len()).finish()
            }
        }
    )*};
}
receivers!(Receiver UnboundedReceiver);

macro_rules! senders {
    ($($sender:ident)*) => {$(
        impl<T> Clone for $sender<T> {
            fn clone(&self) -> Self {
                Self(self.0.clone(), LOCAL)
            }
        }

        impl<T> fmt::Debug for $sender<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($sender)).field("closed", &self.is_closed()).finish()
            }
        }
    )*};
}
senders!(Sender UnboundedSender);

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the receiver of the channel is gone or closed")
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the channel is full",
            Self::Closed(_) => "the receiver of the channel is gone or closed",
        })
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the channel is empty",
            Self::Disconnected => "the channel is empty and all senders are gone",
        })
    }
}

impl<T: fmt::Debug> std::error::Error for SendError<T> {}
impl<T: fmt::Debug> std::error::Error for TrySendError<T> {}
impl std::error::Error for TryRecvError {}
