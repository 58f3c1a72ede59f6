//! What workflow code may call. Also the attribute
//! [`workflow`](macro@crate::workflow).
//!
//! Everything here is the same in every life of a run: a replay sees what the
//! first run saw. Ordinary combinators work as they are: `tokio::join!`,
//! `tokio::try_join!`, `select!` with `biased;`, `futures`' `join_all`,
//! `FuturesUnordered` and `buffer_unordered`. Channels and locks between the
//! branches of one workflow are in [`sync`]. Whatever is awaited is a
//! [`DurableFuture`]. Events of `tracing` are silent
//! while a history is replayed.

mod branch;
mod cancel;
mod chance;
#[cfg(feature = "futures")]
mod map;
mod request;
mod restart;
mod select;
mod signal;
mod state;
pub mod sync;
mod timeout;
mod timer;

pub use branch::{Branch, spawn};
pub use cancel::{Cancellable, Shielded, cancellable, shielded};
pub use chance::{Random, random, uuid};
#[cfg(feature = "futures")]
pub use map::{Map, map};
pub use request::{Ask, Asked, Requested, ask, requested};
pub use restart::{Never, Restart, restart_with};
pub use select::select;
#[doc(hidden)]
pub use select::tokio_select;
pub use signal::{Receive, SendSignal, receive, send};
#[cfg(feature = "futures")]
pub use signal::{Signals, signals};
pub use state::set_state;
pub use timeout::{TimedOut, Timeout, timeout};
pub use timer::{Sleep, sleep, sleep_until};

pub use crate::call::{Child, start};
pub(crate) use crate::durable::DurableFuture;
pub use crate::durable::assume_durable;
pub use crate::turn::OnParentEnd;

/// Answers for what a replay cannot repeat, with the reason: the checks leave the
/// expression alone.
///
/// ```
/// # use workflow_runtime::{Result, workflow};
/// #[workflow]
/// async fn measured() -> Result<()> {
///     let began = workflow::nondeterministic!("only logged", std::time::Instant::now());
///     tracing::info!("took {:?}", workflow::nondeterministic!("only logged", began.elapsed()));
///     Ok(())
/// }
/// ```
///
/// The value is another one in each replay. It must not steer the workflow: not
/// its calls, their arguments, their order, nor its result. For a value that
/// does, write a `#[step]`. The reason is a text literal, and not empty.
#[doc(inline)]
pub use crate::__nondeterministic as nondeterministic;

use crate::clock::Timestamp;
use crate::model::read_meta;
use crate::turn::{Table, with_table};

/// Runs `body` with the table of the workflow that is being polled.
#[track_caller]
#[expect(clippy::panic, reason = "there is no error to return, and nothing may run unrecorded")]
fn table<R>(what: &str, body: impl FnOnce(&mut Table) -> R) -> R {
    match with_table(body) {
        Some(result) => result,
        None => panic!(
            "`workflow::{what}` works inside a `#[workflow]` only: not in a step, not in a task \
             that is spawned, not in `main`. There is nothing here that could record it"
        ),
    }
}

/// The time of the last event of this run: it stands still between two awaits
/// and never goes back.
///
/// # Panics
///
/// Outside a workflow.
#[must_use]
#[track_caller]
pub fn now() -> Timestamp {
    table("now", |table| table.now())
}

/// The id of this run: the one given with `.id(..)`, or the one made for it.
///
/// # Panics
///
/// Outside a workflow.
#[must_use]
#[track_caller]
pub fn id() -> String {
    table("id", |table| table.info().id.to_string())
}

/// Whether a change of this code is in force in this run: `true` where the run
/// gets here for the first time, `false` in the replay of what an older build did
/// without it.
///
/// ```
/// # use workflow_runtime::{Result, step, workflow};
/// # #[step] async fn charge(cents: u64) -> Result<()> { Ok(()) }
/// # #[step] async fn audit(cents: u64) -> Result<()> { Ok(()) }
/// #[workflow]
/// async fn pay_audited(cents: u64) -> Result<()> {
///     // Inserted while runs were in flight.
///     if workflow::patched("audit") {
///         audit(cents).await?;
///     }
///     charge(cents).await
/// }
/// ```
///
/// # Guarantees
///
/// The answer `true` is recorded with the turn, and every later replay gives it
/// again; so does every later call with the same id in this run. Nothing else is
/// recorded, and it is no call of its own. When no run is left that began before the
/// change, remove the `if` and keep what is in it.
///
/// # Panics
///
/// Outside a workflow.
#[must_use]
#[track_caller]
pub fn patched(id: &str) -> bool {
    table("patched", |table| table.is_patched(id))
}

/// What the run was started with under that key of
/// [`Call::meta`](crate::Call::meta).
///
/// # Panics
///
/// Outside a workflow.
#[must_use]
#[track_caller]
pub fn meta(key: &str) -> Option<String> {
    table("meta", |table| read_meta(table.info().meta.as_deref()).remove(key))
}
