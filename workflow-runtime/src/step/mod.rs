//! What step code may call. Also the attribute [`step`](macro@crate::step).

mod cancel;
mod context;
mod send;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

pub(crate) use cancel::Cancel;
pub use cancel::Cancelled;
pub(crate) use context::{Heart, StepContext, scope};
pub use send::send;
pub(crate) use send::{Letter, Mailer, Posted};

use crate::codec;
use crate::error::{Failure, FailureKind, Result};
use crate::model::read_meta;

#[track_caller]
#[expect(clippy::panic, reason = "there is no error to return, and a wrong key would be worse")]
fn current(what: &str) -> StepContext {
    match context::current() {
        Some(context) => context,
        None => panic!(
            "`step::{what}` works inside a `#[step]` only, and not in a task that it spawns: \
             take the value first and move it into the task"
        ),
    }
}

/// Which attempt this is, from 1. Counts on across restarts.
///
/// # Panics
///
/// Outside a step, and in tasks that a step spawns.
#[must_use]
#[track_caller]
pub fn attempt() -> u32 {
    current("attempt").attempt
}

/// A text of 32 characters that is the same in every attempt of this call, in
/// every life of the workflow, and for no other call: give it to the service
/// that the step talks to, so that it acts once.
///
/// # Panics
///
/// Outside a step, and in tasks that a step spawns.
#[must_use]
#[track_caller]
pub fn idempotency_key() -> String {
    key_of(&current("idempotency_key"))
}

pub(crate) fn key_of(context: &StepContext) -> String {
    use std::fmt::Write as _;

    let StepContext { run, seed, call, .. } = context;
    let digest = Sha256::digest(format!("{seed}:{run}:{call}"));
    digest.iter().take(16).fold(String::with_capacity(32), |mut key, byte| {
        let written = write!(key, "{byte:02x}");
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
        key
    })
}

/// The id of the workflow that this step belongs to.
///
/// # Panics
///
/// Outside a step, and in tasks that a step spawns.
#[must_use]
#[track_caller]
pub fn workflow_id() -> String {
    current("workflow_id").workflow_id.to_string()
}

/// What the run was started with under that key of
/// [`Call::meta`](crate::Call::meta).
///
/// # Panics
///
/// Outside a step, and in tasks that a step spawns.
#[must_use]
#[track_caller]
pub fn meta(key: &str) -> Option<String> {
    read_meta(current("meta").meta.as_deref()).remove(key)
}

/// Says how far this step is, so that its next attempt can go on from there:
/// [`last_detail`] gives it what was said last.
///
/// ```
/// use workflow_runtime::{Result, step};
///
/// #[step(retry(attempts = 10))]
/// async fn import(lines: Vec<String>) -> Result<()> {
///     let done: usize = step::last_detail()?.unwrap_or(0);
///     for (n, line) in lines.iter().enumerate().skip(done) {
///         println!("{line}");
///         step::heartbeat(&(n + 1))?;
///     }
///     Ok(())
/// }
/// ```
///
/// # Guarantees
///
/// It waits for nothing. The newest detail is written with the next commit of
/// the run; a crash within some milliseconds may lose it, and the next attempt
/// then gets an older one. It goes when the step has its result.
///
/// # Errors
///
/// The detail cannot be stored, or is over `max_payload`.
///
/// # Panics
///
/// Outside a step, and in tasks that a step spawns.
#[track_caller]
pub fn heartbeat<T: Serialize + ?Sized>(detail: &T) -> Result<()> {
    let context = current("heartbeat");
    let unstorable = |error: String| {
        let message = format!("a heartbeat cannot be stored: {error}");
        Failure::of_kind(FailureKind::Unstorable, message)
    };
    let text = serde_json::to_string(detail).map_err(|error| unstorable(error.to_string()))?;
    let fits = codec::within(text.len(), context.payload_limit);
    fits.map_err(|error| unstorable(error.to_string()))?;
    context.beat(text.into());
    Ok(())
}

/// What an earlier attempt of this step said last with [`heartbeat`], in this
/// life or one before.
///
/// # Errors
///
/// It is not of that type.
///
/// # Panics
///
/// Outside a step, and in tasks that a step spawns.
#[track_caller]
pub fn last_detail<T: DeserializeOwned>() -> Result<Option<T>> {
    let Some(detail) = current("last_detail").detail else { return Ok(None) };
    codec::decode(&detail).map(Some).map_err(|error| {
        Failure::new(format!("the detail of an earlier attempt is of another type: {error}"))
    })
}

/// Ends when nobody waits for this step any more: its run was cancelled, or
/// its workflow dropped the call. A step that has asked for it gets ten more
/// seconds to clean up; any other is dropped at once.
///
/// ```
/// # async fn upload() {}
/// # async fn remove_parts() {}
/// use workflow_runtime::{Failure, Result, step};
///
/// #[step]
/// async fn publish() -> Result<()> {
///     let cancelled = step::cancelled();
///     tokio::select! {
///         () = upload() => Ok(()),
///         () = cancelled => {
///             remove_parts().await;
///             Err(Failure::new("cancelled"))
///         }
///     }
/// }
/// ```
///
/// Its result is not used any more.
///
/// # Cancel safety
///
/// Dropping it changes nothing.
///
/// # Panics
///
/// Outside a step, and in tasks that a step spawns.
#[track_caller]
pub fn cancelled() -> Cancelled {
    Cancelled::new(current("cancelled").cancel)
}
