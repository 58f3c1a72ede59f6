//! What may be sent to a run: the traits behind `#[signal]` and `#[request]`, and
//! how their values become JSON.

use std::sync::Arc;

use crate::codec;
use crate::error::{Failure, FailureKind};

/// A message to a run: what [`#[signal]`](macro@crate::signal) makes of a type.
///
/// A run takes signals of a type when it asks for them, in the order in which they
/// came. What comes before is kept.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no signal",
    label = "what is sent to a run is of a type that is marked `#[signal]`",
    note = "write `#[signal]` above the struct or enum"
)]
pub trait Signal: serde::Serialize + serde::de::DeserializeOwned + Send + 'static {
    /// The name under which it is stored.
    const NAME: &'static str;
}

/// A message to a run whose sender waits for a reply: what
/// [`#[request]`](macro@crate::request) makes of a type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no request",
    label = "what is asked of a run is of a type that is marked `#[request(reply = ..)]`",
    note = "write `#[request(reply = Answer)]` above the struct or enum"
)]
pub trait Request: serde::Serialize + serde::de::DeserializeOwned + Send + 'static {
    /// What its sender gets.
    type Reply: serde::Serialize + serde::de::DeserializeOwned + Send + 'static;

    /// The name under which it is stored.
    const NAME: &'static str;

    /// Whether it may be sent at all; the reason why not. Asked before it is sent,
    /// and again before a workflow gets it.
    ///
    /// # Errors
    ///
    /// The reason, for whoever asks.
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}

/// A signal as it is stored.
///
/// # Errors
///
/// It is too large, or JSON cannot carry it.
pub(crate) fn encode_signal<S: Signal>(signal: &S, limit: usize) -> Result<Arc<str>, String> {
    let text = codec::encode(signal, limit).map_err(|error| error.to_string());
    let text = text.and_then(|text| codec::decode::<S>(&text).map(|_| text));
    text.map(Into::into).map_err(|error| format!("signal `{}` cannot be sent: {error}", S::NAME))
}

/// A request as it is sent.
///
/// # Errors
///
/// It is not valid, too large, or JSON cannot carry it.
pub(crate) fn encode_request<R: Request>(request: &R, limit: usize) -> Result<Arc<str>, Failure> {
    let refused = |kind, reason: String| {
        Failure::of_kind(kind, format!("request `{}` cannot be sent: {reason}", R::NAME))
    };
    request.validate().map_err(|reason| refused(FailureKind::Rejected, reason))?;
    let text = codec::encode(request, limit).map_err(|error| error.to_string());
    let text = text.and_then(|text| codec::decode::<R>(&text).map(|_| text));
    text.map(Into::into).map_err(|error| refused(FailureKind::Unstorable, error))
}

/// A reply as it came.
///
/// # Errors
///
/// The outer: it is of another type. The inner: there is none, and why.
pub(crate) fn decode_reply<R: Request>(text: &str) -> Result<Result<R::Reply, Failure>, String> {
    if let Some(value) = codec::untagged("ok", text) {
        return codec::decode(value).map(Ok);
    }
    let failure = codec::untagged("failure", text).ok_or("it is no stored reply")?;
    codec::decode(failure).map(Err)
}
