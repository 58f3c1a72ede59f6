//! Signals: typed messages that a run takes when it asks for them.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::DurableFuture;
use crate::codec::{self, fingerprint};
use crate::error::{Failure, FailureKind};
use crate::message::{Signal, encode_signal};
use crate::model::{MailKind, check_id};
use crate::turn::{
    CallSpec, Fault, Place, Polled, SendSpec, Target, drop_call, poll_call, set_fault, with_table,
};

/// Waits for a signal of that type, and takes it.
///
/// ```
/// # use std::time::Duration;
/// use workflow_runtime::{Result, signal, workflow};
///
/// #[signal]
/// struct Approval {
///     by: String,
/// }
///
/// #[workflow]
/// async fn purchase(cents: u64) -> Result<String> {
///     let asked = workflow::receive::<Approval>();
///     match workflow::timeout(Duration::from_secs(86_400), asked).await {
///         Ok(Approval { by }) => Ok(format!("{cents} approved by {by}")),
///         Err(_) => Ok("nobody approved".to_owned()),
///     }
/// }
/// ```
///
/// # Guarantees
///
/// A signal that was accepted is taken once, in the order of its sender; it may
/// have come before it is asked for, and before the run has begun. What is not taken
/// when the run ends is in the [dead letters](crate::Client::dead_letters).
///
/// # Cancel safety
///
/// Dropped before it has one, nothing is taken; dropped with one that it did not
/// give, the next call of the same type gets it.
///
/// # Panics
///
/// Awaited outside a workflow.
#[track_caller]
pub fn receive<S: Signal>() -> Receive<S> {
    Receive { place: Place::default(), at: Location::caller(), signal: PhantomData }
}

/// A signal to come: see [`receive`].
#[must_use = "nothing is taken until this is awaited"]
pub struct Receive<S> {
    place: Place,
    at: &'static Location<'static>,
    signal: PhantomData<fn() -> S>,
}

impl<S: Signal> fmt::Debug for Receive<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receive({})", S::NAME)
    }
}

impl<S> Unpin for Receive<S> {}

fn receives<S: Signal>(at: &'static Location<'static>) -> CallSpec {
    let args: Arc<str> = "[]".into();
    let hash = fingerprint(&args);
    CallSpec { target: Target::Receive(MailKind::Signal), name: S::NAME, was: &[], args, hash, at }
}

impl<S: Signal> Future for Receive<S> {
    type Output = S;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<S> {
        let at = self.at;
        match poll_call(&mut self.place, cx, |_| receives::<S>(at)) {
            Polled::Pending => Poll::Pending,
            Polled::Outside => outside("receive", at),
            Polled::Ready(outcome) => match codec::decode(&outcome.text) {
                Ok(signal) => Poll::Ready(signal),
                Err(error) => {
                    set_fault(Fault::Undecodable { what: format!("signal `{}`", S::NAME), error });
                    Poll::Pending
                }
            },
        }
    }
}

impl<S: Signal> DurableFuture for Receive<S> {}

impl<S> Drop for Receive<S> {
    fn drop(&mut self) {
        drop_call(self.place);
    }
}

/// All signals of that type, as they come: a stream that never ends.
///
/// ```
/// # use workflow_runtime::{Result, signal, workflow};
/// use futures::StreamExt as _;
///
/// #[signal]
/// struct Payment(u64);
///
/// #[workflow]
/// async fn collect_payments(wanted: u64) -> Result<u64> {
///     let mut payments = workflow::signals::<Payment>();
///     let mut paid = 0;
///     while paid < wanted {
///         let Some(Payment(cents)) = payments.next().await else { break };
///         paid += cents;
///     }
///     Ok(paid)
/// }
/// ```
///
/// # Panics
///
/// Polled outside a workflow.
#[cfg(feature = "futures")]
#[track_caller]
pub fn signals<S: Signal>() -> Signals<S> {
    Signals { next: receive(), at: Location::caller() }
}

/// Signals to come: see [`signals`].
#[cfg(feature = "futures")]
#[must_use = "nothing is taken until this is polled"]
pub struct Signals<S> {
    next: Receive<S>,
    at: &'static Location<'static>,
}

#[cfg(feature = "futures")]
impl<S: Signal> fmt::Debug for Signals<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signals({})", S::NAME)
    }
}

#[cfg(feature = "futures")]
impl<S: Signal> futures_util::Stream for Signals<S> {
    type Item = S;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S>> {
        let signal = std::task::ready!(Pin::new(&mut self.next).poll(cx));
        let at = self.at;
        self.next = Receive { place: Place::default(), at, signal: PhantomData };
        Poll::Ready(Some(signal))
    }
}

#[cfg(feature = "futures")]
impl<S: Signal> crate::durable::DurableStream for Signals<S> {}

/// Sends a signal to a run, by its workflow id.
///
/// ```
/// # use workflow_runtime::{Result, signal, workflow};
/// # #[signal] struct Ready { order: u32 }
/// #[workflow]
/// async fn bake(order: u32, waiter: String) -> Result<()> {
///     workflow::send(waiter, Ready { order }).await?;
///     Ok(())
/// }
/// ```
///
/// # Guarantees
///
/// It is delivered once: the message is one commit with the turn that sends it. For
/// an id that nobody has yet it waits for whoever starts it.
///
/// # Errors
///
/// A failure of kind [`Undelivered`](FailureKind::Undelivered): the run has ended, or
/// its mailbox is full. [`Unstorable`](FailureKind::Unstorable): the signal is too
/// large, JSON cannot carry it, or the id is not one of 1 to 512 bytes.
///
/// # Cancel safety
///
/// Dropped once it was polled, it may have been sent.
///
/// # Panics
///
/// Awaited outside a workflow.
#[track_caller]
pub fn send<S: Signal>(to: impl Into<String>, signal: S) -> SendSignal<S> {
    let (to, signal) = (to.into().into(), Some(signal));
    SendSignal { to, signal, place: Place::default(), at: Location::caller() }
}

/// A signal on its way: see [`send`].
#[must_use = "nothing is sent until this is awaited"]
pub struct SendSignal<S> {
    to: Arc<str>,
    signal: Option<S>,
    place: Place,
    at: &'static Location<'static>,
}

impl<S: Signal> fmt::Debug for SendSignal<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Send({} to {})", S::NAME, self.to)
    }
}

impl<S> Unpin for SendSignal<S> {}

impl<S: Signal> SendSignal<S> {
    fn spec(&mut self, limit: usize) -> Result<CallSpec, Failure> {
        let unstorable = |message| Failure::of_kind(FailureKind::Unstorable, message);
        let signal = self.signal.take();
        let signal = signal.ok_or_else(|| unstorable("it was sent before".to_owned()))?;
        check_id(&self.to).map_err(unstorable)?;
        let body = encode_signal(&signal, limit).map_err(unstorable)?;
        let (to, at) = (Arc::clone(&self.to), self.at);
        let args: Arc<str> = format!("[{},{body}]", serde_json::Value::from(&*to)).into();
        let (hash, target) = (fingerprint(&args), Target::Send(Box::new(SendSpec { to, body })));
        Ok(CallSpec { target, name: S::NAME, was: &[], args, hash, at })
    }
}

impl<S: Signal> Future for SendSignal<S> {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = self.at;
        let spec = match self.place {
            Place::Unpolled => {
                let asked = with_table(|table| (table.info().payload_limit, table.is_stopped()));
                let Some((limit, stopped)) = asked else { outside("send", at) };
                if stopped {
                    return Poll::Pending;
                }
                match self.spec(limit) {
                    Ok(spec) => spec,
                    Err(failure) => return Poll::Ready(Err(failure)),
                }
            }
            // Made before: no spec is asked for.
            Place::Made { .. } | Place::Done => receives::<S>(at),
        };
        match poll_call(&mut self.place, cx, |_| spec) {
            Polled::Pending => Poll::Pending,
            Polled::Outside => outside("send", at),
            Polled::Ready(outcome) => match codec::untagged("failure", &outcome.text) {
                None => Poll::Ready(Ok(())),
                Some(failure) => match codec::decode(failure) {
                    Ok(failure) => Poll::Ready(Err(failure)),
                    Err(error) => {
                        let what = format!("what became of signal `{}`", S::NAME);
                        set_fault(Fault::Undecodable { what, error });
                        Poll::Pending
                    }
                },
            },
        }
    }
}

impl<S: Signal> DurableFuture for SendSignal<S> {}

impl<S> Drop for SendSignal<S> {
    fn drop(&mut self) {
        drop_call(self.place);
    }
}

#[expect(clippy::panic, reason = "there is no error to return, and nothing may run unrecorded")]
pub(super) fn outside(what: &str, at: &Location<'_>) -> ! {
    panic!(
        "`workflow::{what}` at {at} was awaited outside its workflow: it works inside a \
         `#[workflow]` only. Elsewhere: `handle.send(..)`, `client.send(id, ..)`, or in a step \
         `step::send(id, ..)`"
    );
}
