//! Goes on as the next generation of a run, with a history of its own.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::DurableFuture;
use crate::call::{Call, Workflow, encode_start, unstorable};
use crate::codec::fingerprint;
use crate::model::{Encoded, Ended, Successor, read_meta, write_meta};
use crate::turn::{Table, with_table};

/// Ends this generation of the run and begins the next one, in one commit: under
/// the same workflow id, with the arguments of `call` and an empty history.
///
/// For what runs for ever, or through more than a history should hold: every
/// event is replayed after a crash, and a history has a limit.
///
/// ```
/// # use std::time::Duration;
/// # use workflow_runtime::{Result, step, workflow};
/// # #[step] async fn bill(month: u32) -> Result<u64> { Ok(9) }
/// #[workflow]
/// async fn subscription(month: u32, billed: u64) -> Result<u64> {
///     if month == 12 {
///         return Ok(billed);
///     }
///     workflow::sleep(Duration::from_secs(30 * 86_400)).await;
///     let billed = billed + bill(month).await?;
///     workflow::restart_with(subscription(month + 1, billed)).await
/// }
/// ```
///
/// Awaiting it ends the workflow, whatever else it waits for: calls in flight are
/// dropped, and it never returns. `call` is a call of the same workflow, or of
/// another version of it; [`meta`](Call::meta) of the call is added to that of the
/// run.
///
/// # Guarantees
///
/// There is never a moment with two generations at work, or with none. Handles
/// wait for the end of the last generation; `cancel` and the other commands go to
/// the one at work. Whoever starts the same id with the arguments of the first
/// generation attaches to the run. Steps have other idempotency keys in each
/// generation.
///
/// If the arguments cannot be stored the run fails, with
/// [`FailureKind::Unstorable`](crate::FailureKind).
///
/// # Panics
///
/// When awaited outside a workflow, or with a call of another workflow: the run is
/// set aside. Also with a call that was given an id of its own.
#[track_caller]
pub fn restart_with<W: Workflow>(call: Call<W>) -> Restart<W> {
    Restart { call: Some(call), at: Location::caller() }
}

/// A restart: see [`restart_with`].
#[derive(Debug)]
#[must_use = "nothing is restarted until this is awaited"]
pub struct Restart<W: Workflow> {
    call: Option<Call<W>>,
    at: &'static Location<'static>,
}

/// The type of what never returns: `!`, which has no name of its own as a type yet.
pub type Never = <fn() -> ! as Returned>::Type;

#[doc(hidden)]
pub trait Returned {
    type Type;
}

impl<T> Returned for fn() -> T {
    type Type = T;
}

impl<W: Workflow> Unpin for Restart<W> {}

impl<W: Workflow> DurableFuture for Restart<W> {}

impl<W: Workflow> Future for Restart<W> {
    type Output = Never;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Never> {
        let at = self.at;
        let Some(stopped) = with_table(|table| table.is_stopped()) else {
            misused(at, "was awaited outside its workflow: it works inside a `#[workflow]` only");
        };
        // Cancelled: what would come next never does.
        if !stopped && let Some(call) = self.call.take() {
            let ended = next_generation(call, at);
            with_table(|table| table.end(ended));
        }
        Poll::Pending
    }
}

/// How the run ends.
fn next_generation<W: Workflow>(call: Call<W>, at: &Location<'_>) -> Encoded {
    let known = |table: &mut Table| {
        let mut seed = [0; 8];
        table.fill(&mut seed);
        (table.info().clone(), i64::from_le_bytes(seed))
    };
    let Some((info, seed)) = with_table(known) else { misused(at, "lost its workflow") };
    let (args, options) = call.into_parts();
    let named = &W::definition().named;
    if !named.is_any_version_of(&info.workflow) {
        let (other, this) = (named.name, &info.workflow);
        let what = format!(
            "got a call of `{other}`, and this is a run of `{this}`: the result \
            that its handles wait for is of this workflow"
        );
        misused(at, &what);
    }
    if options.id.is_some_and(|id| id != info.id) {
        misused(at, "got a call with an id: the next generation has the id of the run");
    }
    let Some(args) = args else { misused(at, "got a call that was awaited") };
    let mut meta = read_meta(info.meta.as_deref());
    meta.extend(options.meta);
    let stored = encode_start::<W>(&args, info.payload_limit);
    match stored.and_then(|args| Ok((args, write_meta(&meta)?))) {
        Ok((args, meta)) => {
            let hash = format!("{:016x}", fingerprint(&args));
            let text = serde_json::json!({ "restarted": named.name, "hash": hash }).to_string();
            let successor = Successor { workflow: named.name.into(), args, seed, meta };
            Encoded::new(text, Ended::Continued).followed_by(successor)
        }
        Err(error) => unstorable(&format!("`{}` cannot be restarted: {error}", named.name)),
    }
}

#[expect(clippy::panic, reason = "it never returns, and nothing may run unrecorded")]
fn misused(at: &Location<'_>, what: &str) -> ! {
    panic!("`workflow::restart_with` at {at} {what}");
}
