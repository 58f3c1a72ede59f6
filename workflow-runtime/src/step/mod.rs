//! What step code may call. Also the attribute [`step`](macro@crate::step).

use std::future::Future;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::model::{CallId, RunId};

/// Which attempt of which step is running.
#[derive(Clone, Debug)]
pub(crate) struct StepContext {
    pub(crate) workflow_id: Arc<str>,
    pub(crate) run: RunId,
    pub(crate) seed: i64,
    pub(crate) call: CallId,
    /// From 1.
    pub(crate) attempt: u32,
}

tokio::task_local! {
    static CURRENT: StepContext;
}

/// Runs `body` as that attempt.
pub(crate) fn scope<F: Future>(context: StepContext, body: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(context, body)
}

impl StepContext {
    /// For a body that runs without a workflow.
    pub(crate) fn direct() -> Self {
        Self { workflow_id: "direct".into(), run: RunId(0), seed: 0, call: CallId(0), attempt: 1 }
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "there is no error to return, and a wrong key would be worse")]
fn current(what: &str) -> StepContext {
    match CURRENT.try_with(Clone::clone) {
        Ok(context) => context,
        Err(_) => panic!(
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
    use std::fmt::Write as _;

    let StepContext { run, seed, call, .. } = current("idempotency_key");
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
