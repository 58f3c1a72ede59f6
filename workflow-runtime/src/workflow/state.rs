//! What a run shows to others.

use std::panic::Location;
use std::sync::Arc;

use serde::Serialize;

use crate::codec;
use crate::error::{Failure, FailureKind};
use crate::turn::with_table;

/// Shows something to whoever has a handle: how far it is, what it waits for. Read
/// by [`Handle::state`](crate::Handle::state) and
/// [`Handle::watch`](crate::Handle::watch), from any process, without touching the
/// workflow.
///
/// ```
/// # use workflow_runtime::{Result, step, workflow};
/// # #[step] async fn import(line: u32) -> Result<()> { Ok(()) }
/// #[workflow]
/// async fn import_all(lines: u32) -> Result<()> {
///     for line in 0..lines {
///         workflow::set_state(&format!("{line} of {lines}"))?;
///         import(line).await?;
///     }
///     Ok(())
/// }
/// ```
///
/// # Guarantees
///
/// It is one commit with the turn that says it: what others see has happened. Of
/// several in one turn they see the last.
///
/// # Errors
///
/// A failure of kind [`Unstorable`](FailureKind::Unstorable): it is over the payload
/// limit, or JSON cannot carry it. What was shown stays.
///
/// # Panics
///
/// Outside a workflow.
#[track_caller]
pub fn set_state<S: Serialize + ?Sized>(state: &S) -> Result<(), Failure> {
    let limit = with_table(|table| table.info().payload_limit);
    let Some(limit) = limit else { outside(Location::caller()) };
    let text = codec::encode(state, limit).map_err(|error| {
        let message = format!("the state cannot be shown: {error}");
        Failure::of_kind(FailureKind::Unstorable, message)
    })?;
    with_table(|table| table.show(Arc::from(text)));
    Ok(())
}

#[expect(clippy::panic, reason = "there is no run whose state it would be")]
fn outside(at: &Location<'_>) -> ! {
    panic!(
        "`workflow::set_state` at {at} was called outside a workflow: it works inside a \
         `#[workflow]` only. In a step, `step::heartbeat` says how far it is"
    );
}
