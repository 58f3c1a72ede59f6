//! Results as JSON: `{"ok": …}`, `{"err": …}`, or `{"failure": …}` where the
//! runtime speaks in the place of the code.

use std::any::Any;

use serde::Serialize;

use super::{Failing, Outcome, Storable, StorableError};
use crate::codec::{self, Unstorable};
use crate::error::{ErrorType, Failure};
use crate::model::AttemptFailure;
use crate::text::{MAX_FAILURE, cut};

/// How a declared return type is stored. Everything that needs a bound on it
/// is behind a pointer: the bounds are asked for in [`returns`] alone.
pub struct Returns<R> {
    /// As JSON, within so many bytes.
    pub(crate) encode: fn(&R, usize) -> Result<String, Unstorable>,
    /// From JSON.
    pub(crate) decode: fn(&str) -> Result<R, String>,
    /// The runtime's own failure as a value of the type.
    pub(crate) fail: fn(Failure) -> R,
    pub(crate) is_ok: fn(&R) -> bool,
    /// What to know of an error to decide about another attempt.
    pub(crate) inspect: fn(&R) -> Option<AttemptFailure>,
    /// As a value that may change threads, and back.
    pub(crate) pack: fn(R) -> Box<dyn Any + Send>,
    pub(crate) unpack: fn(Box<dyn Any + Send>) -> Option<R>,
    error_type: ErrorType,
}

impl<R> std::fmt::Debug for Returns<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::any::type_name::<R>())
    }
}

impl<R> Returns<R> {
    /// The declared error, for `Failure::details`.
    #[must_use]
    pub const fn error_type(&self) -> ErrorType {
        self.error_type
    }
}

/// The one mention of a return type, so that a missing bound is reported once,
/// at that type.
#[must_use]
pub const fn returns<R>() -> Returns<R>
where
    R: Outcome,
    R::Ok: Storable,
    R::Err: StorableError + Failing,
{
    Returns {
        encode: |returned, limit| match returned.as_result() {
            Ok(value) => codec::encode_tagged("ok", value, limit),
            Err(error) => codec::encode_tagged("err", error, limit),
        },
        decode: decode::<R>,
        fail: |failure| R::from_result(Err(failure.into())),
        is_ok: |returned| returned.as_result().is_ok(),
        inspect: |returned| returned.as_result().err().map(inspect),
        pack: |returned| Box::new(returned.into_result()),
        unpack: |packed| {
            let result = packed.downcast::<Result<R::Ok, R::Err>>().ok()?;
            Some(R::from_result(*result))
        },
        error_type: ErrorType::of::<R::Err>(),
    }
}

fn decode<R>(text: &str) -> Result<R, String>
where
    R: Outcome,
    R::Ok: Storable,
    R::Err: StorableError + Failing,
{
    if let Some(value) = codec::untagged("ok", text) {
        return Ok(R::from_result(Ok(codec::decode(value)?)));
    }
    if let Some(error) = codec::untagged("err", text) {
        return Ok(R::from_result(Err(codec::decode(error)?)));
    }
    let failure = codec::untagged("failure", text)
        .ok_or_else(|| format!("it is no stored result: {}", cut(text, SHOWN)))?;
    Ok(R::from_result(Err(codec::decode::<Failure>(failure)?.into())))
}

/// Longest shown part of what is no result, in bytes.
const SHOWN: usize = 100;

fn inspect<E: Serialize + 'static>(error: &E) -> AttemptFailure {
    let failure = (error as &dyn Any).downcast_ref::<Failure>();
    if let Some(failure) = failure {
        return AttemptFailure {
            message: failure.to_string(),
            retryable: failure.is_retryable(),
            retry_after: failure.delay(),
        };
    }
    let text = serde_json::to_string(error).unwrap_or_else(|error| error.to_string());
    let message = cut(&text, MAX_FAILURE).into_owned();
    AttemptFailure { message, retryable: true, retry_after: None }
}
