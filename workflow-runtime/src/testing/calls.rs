//! What steps were called with.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::model::{CallId, RunId};

/// One attempt of a step, as [`Sim::calls`](super::Sim::calls) gives it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepCall<A> {
    /// `()`, the one argument, or a tuple.
    pub args: A,
    /// From 1; counts on across crashes that followed a failure.
    pub attempt: u32,
    /// What [`step::idempotency_key`](crate::step::idempotency_key) gave it.
    pub idempotency_key: String,
    /// The id of its workflow.
    pub workflow_id: String,
    /// When it began, in the time of the test.
    pub at: Timestamp,
    /// After how many crashes.
    pub life: u32,
}

#[derive(Clone, Debug)]
pub(super) struct CallRecord {
    pub(super) step: &'static str,
    pub(super) run: RunId,
    pub(super) call: CallId,
    pub(super) args: Arc<str>,
    pub(super) attempt: u32,
    pub(super) key: String,
    pub(super) workflow_id: Arc<str>,
    pub(super) at: Timestamp,
    pub(super) life: u32,
}
