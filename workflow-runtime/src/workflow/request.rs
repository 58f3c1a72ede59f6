//! Requests: signals whose sender waits for a reply.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::value::RawValue;

use super::DurableFuture;
use super::signal::outside;
use crate::codec::{self, fingerprint};
use crate::error::{Failure, FailureKind};
use crate::message::{Request, decode_reply, encode_request};
use crate::model::{MailKind, check_id};
use crate::turn::{
    CallSpec, Fault, Place, Polled, SendSpec, Target, drop_call, make_call, poll_call, set_fault,
    with_table,
};

/// Waits for a request of that type, and takes it.
///
/// ```
/// use workflow_runtime::{Result, request, workflow};
///
/// #[request(reply = u32)]
/// struct AddItem {
///     name: String,
/// }
///
/// #[workflow]
/// async fn basket(room: u32) -> Result<Vec<String>> {
///     let mut items = Vec::new();
///     while items.len() < room as usize {
///         let asked = workflow::requested::<AddItem>().await;
///         items.push(asked.name.clone());
///         asked.reply(items.len() as u32);
///     }
///     Ok(items)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// # let runtime = workflow_runtime::Runtime::builder("memory:").build().await?;
/// let run = runtime.start(basket(1)).await?;
/// assert_eq!(run.ask(AddItem { name: "tea".to_owned() }).await?, 1);
/// # runtime.shutdown().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Guarantees
///
/// As for signals: it is taken once, in the order of its sender, and kept until
/// then. It is answered once: the reply is one commit with the turn that gives it.
/// One that is dropped without a reply is rejected; one that is open when its run
/// ends is answered with that.
///
/// # Panics
///
/// Awaited outside a workflow.
#[track_caller]
pub fn requested<R: Request>() -> Requested<R> {
    Requested { place: Place::default(), at: Location::caller(), request: PhantomData }
}

/// A request to come: see [`requested`].
#[must_use = "nothing is taken until this is awaited"]
pub struct Requested<R> {
    place: Place,
    at: &'static Location<'static>,
    request: PhantomData<fn() -> R>,
}

impl<R: Request> fmt::Debug for Requested<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Requested({})", R::NAME)
    }
}

impl<R> Unpin for Requested<R> {}

/// As it is stored.
#[derive(serde::Deserialize)]
struct Stored<'a> {
    message: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

fn receives<R: Request>(at: &'static Location<'static>) -> CallSpec {
    let args: Arc<str> = "[]".into();
    let (hash, target) = (fingerprint(&args), Target::Receive(MailKind::Request));
    CallSpec { target, name: R::NAME, was: &[], args, hash, at }
}

impl<R: Request> Future for Requested<R> {
    type Output = Asked<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Asked<R>> {
        let at = self.at;
        loop {
            let outcome = match poll_call(&mut self.place, cx, |_| receives::<R>(at)) {
                Polled::Pending => return Poll::Pending,
                Polled::Outside => outside("requested", at),
                Polled::Ready(outcome) => outcome,
            };
            let asked = match read::<R>(&outcome.text, at) {
                Ok(asked) => asked,
                Err(error) => {
                    set_fault(Fault::Undecodable { what: format!("request `{}`", R::NAME), error });
                    return Poll::Pending;
                }
            };
            match asked.validate() {
                Ok(()) => return Poll::Ready(asked),
                // Of an older build, say: the next one, please.
                Err(reason) => asked.reject(reason),
            }
            self.place = Place::default();
        }
    }
}

fn read<R: Request>(text: &str, at: &'static Location<'static>) -> Result<Asked<R>, String> {
    let stored: Stored<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let request = codec::decode(stored.body.get())?;
    Ok(Asked { request, message: Some(stored.message.into()), at })
}

impl<R: Request> DurableFuture for Requested<R> {}

impl<R> Drop for Requested<R> {
    fn drop(&mut self) {
        drop_call(self.place);
    }
}

/// A request that wants a reply. Its fields are those of the request.
///
/// Dropped without one, it is rejected.
#[must_use = "whoever asked waits for a reply: `reply` or `reject`"]
pub struct Asked<R: Request> {
    request: R,
    /// None: it is answered.
    message: Option<Arc<str>>,
    at: &'static Location<'static>,
}

impl<R: Request + fmt::Debug> fmt::Debug for Asked<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.request.fmt(f)
    }
}

impl<R: Request> Deref for Asked<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.request
    }
}

impl<R: Request> Asked<R> {
    /// Answers it. A reply that cannot be stored is a rejection that says so.
    #[expect(clippy::needless_pass_by_value, reason = "the reply goes")]
    pub fn reply(mut self, reply: R::Reply) {
        let limit = with_table(|table| table.info().payload_limit).unwrap_or(usize::MAX);
        match codec::encode_tagged("ok", &reply, limit) {
            Ok(text) => self.answer(text),
            Err(error) => {
                let message = format!("the reply to `{}` cannot be stored: {error}", R::NAME);
                self.refuse(FailureKind::Unstorable, message);
            }
        }
    }

    /// Refuses it: whoever asked gets a failure of kind
    /// [`FailureKind::Rejected`] with that reason.
    pub fn reject(mut self, reason: impl Into<String>) {
        self.refuse(FailureKind::Rejected, reason.into());
    }

    fn refuse(&mut self, kind: FailureKind, message: String) {
        let failure = Failure::of_kind(kind, message);
        self.answer(serde_json::json!({ "failure": failure }).to_string());
    }

    fn answer(&mut self, text: String) {
        let Some(message) = self.message.take() else { return };
        let (body, at): (Arc<str>, _) = (text.into(), self.at);
        // Nothing where no workflow is polled: it is taken apart.
        make_call(|_| {
            let args: Arc<str> = format!("[{body}]").into();
            let hash = fingerprint(&args);
            let target = Target::Reply(Box::new(SendSpec { to: message, body }));
            CallSpec { target, name: R::NAME, was: &[], args, hash, at }
        });
    }
}

impl<R: Request> Drop for Asked<R> {
    fn drop(&mut self) {
        if self.message.is_some() {
            self.refuse(FailureKind::Rejected, "it was dropped without an answer".to_owned());
        }
    }
}

/// Asks something of a run, by its workflow id, and waits for the reply. With
/// [`workflow::timeout`](crate::workflow::timeout) no longer than that.
///
/// # Guarantees
///
/// As for [`send`](crate::workflow::send); the reply is in the history once.
///
/// # Errors
///
/// A failure of kind [`Rejected`](FailureKind::Rejected): the run, or the validation
/// of the request, said no. [`Unanswered`](FailureKind::Unanswered): it ended without
/// an answer. [`Undelivered`](FailureKind::Undelivered): it has ended, or its mailbox
/// is full. [`Unstorable`](FailureKind::Unstorable).
///
/// # Cancel safety
///
/// Dropped once it was polled, it may have been asked; the reply is not waited for.
///
/// # Panics
///
/// Awaited outside a workflow.
#[track_caller]
pub fn ask<R: Request>(of: impl Into<String>, request: R) -> Ask<R> {
    let (of, request) = (of.into().into(), Some(request));
    Ask { of, request, place: Place::default(), at: Location::caller() }
}

/// A request on its way, and its reply: see [`ask`].
#[must_use = "nothing is asked until this is awaited"]
pub struct Ask<R> {
    of: Arc<str>,
    request: Option<R>,
    place: Place,
    at: &'static Location<'static>,
}

impl<R: Request> fmt::Debug for Ask<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ask({} of {})", R::NAME, self.of)
    }
}

impl<R> Unpin for Ask<R> {}

impl<R: Request> Ask<R> {
    fn spec(&mut self, limit: usize) -> Result<CallSpec, Failure> {
        let request = self.request.take().ok_or_else(|| {
            Failure::of_kind(FailureKind::Unstorable, "it was asked before".to_owned())
        })?;
        let unstorable = |fault| Failure::of_kind(FailureKind::Unstorable, fault);
        check_id(&self.of).map_err(unstorable)?;
        let body = encode_request(&request, limit)?;
        let (to, at) = (Arc::clone(&self.of), self.at);
        let args: Arc<str> = format!("[{},{body}]", serde_json::Value::from(&*to)).into();
        let (hash, target) = (fingerprint(&args), Target::Ask(Box::new(SendSpec { to, body })));
        Ok(CallSpec { target, name: R::NAME, was: &[], args, hash, at })
    }
}

impl<R: Request> Future for Ask<R> {
    type Output = Result<R::Reply, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = self.at;
        let spec = match self.place {
            Place::Unpolled => {
                let asked = with_table(|table| (table.info().payload_limit, table.is_stopped()));
                let Some((limit, stopped)) = asked else { outside("ask", at) };
                if stopped {
                    return Poll::Pending;
                }
                match self.spec(limit) {
                    Ok(spec) => spec,
                    Err(failure) => return Poll::Ready(Err(failure)),
                }
            }
            // Made before: no spec is asked for.
            Place::Made { .. } | Place::Done => receives::<R>(at),
        };
        match poll_call(&mut self.place, cx, |_| spec) {
            Polled::Pending => Poll::Pending,
            Polled::Outside => outside("ask", at),
            Polled::Ready(outcome) => match decode_reply::<R>(&outcome.text) {
                Ok(reply) => Poll::Ready(reply),
                Err(error) => {
                    let what = format!("the reply to `{}`", R::NAME);
                    set_fault(Fault::Undecodable { what, error });
                    Poll::Pending
                }
            },
        }
    }
}

impl<R: Request> DurableFuture for Ask<R> {}

impl<R> Drop for Ask<R> {
    fn drop(&mut self) {
        drop_call(self.place);
    }
}
