//! What generated code calls. No part of the public API: it may change in
//! every version, together with `workflow-macros`.

use std::panic::Location;

pub use std::sync::Arc;

pub use inventory;
pub use serde;

pub use crate::call::{
    Arg, ArgsCodec, DefinitionKind, Returns, StepBody, WorkflowBody, arg, begin_workflow,
    fail_step, returns, run_step,
};
pub use crate::error::ErrorType;
pub use crate::model::{
    AttemptFailure, Encoded, Limits, MismatchPolicy, Named, RetryPolicy, StepDefinition,
    StepFuture, StepOutcome, StepRun, WorkflowBegin, WorkflowDefinition, WorkflowFuture,
};
pub use crate::registry::Registration;
pub use crate::state::{State, StateNeed};
/// What is found in a body: errors and warnings.
pub mod lints {
    pub use crate::lints::faults::*;
    pub use crate::lints::values::{Harmless, Seen, same};
}

use crate::call::{Call, Definition};
use crate::durable::{Block, DurableFuture};

/// Makes a call at the caller's place.
#[track_caller]
pub fn call<D: Definition>(args: D::Args) -> Call<D> {
    Call::new(args, Location::caller())
}

/// A workflow whose body is in another program: no worker of this one has it.
#[must_use]
pub const fn declared(named: Named) -> WorkflowDefinition {
    let begin: WorkflowBegin = |_, _| Err("it is only declared here".to_owned());
    WorkflowDefinition { named, begin, on_mismatch: MismatchPolicy::Block }
}

/// A body that may change threads: the one place that asks for `Send`.
pub fn step_body<F: Future + Send + 'static>(body: F) -> StepBody<F::Output> {
    Box::pin(body)
}

/// The state that a step borrows.
///
/// # Panics
///
/// If it was not given; a worker checks that before it starts.
#[must_use]
#[expect(clippy::panic, reason = "checked when the worker starts, and by `direct`")]
pub fn state<T: ?Sized + Send + Sync + 'static>(state: &State) -> &T {
    match state.get() {
        Some(value) => value,
        None => panic!("no state of type `{}` was given", std::any::type_name::<T>()),
    }
}

/// What stands before each `.await` of workflow code. It does nothing: the bound
/// is the check.
#[inline]
pub fn durable<F>(future: F) -> F
where
    F: IntoFuture,
    F::IntoFuture: DurableFuture,
{
    future
}

/// The same as a method, for tokens that cannot be parsed: in macros.
pub trait Await: Sized {
    /// See [`durable`].
    #[inline]
    #[must_use]
    fn __durable(self) -> Self
    where
        Self: IntoFuture,
        Self::IntoFuture: DurableFuture,
    {
        self
    }
}

impl<F> Await for F {}

/// An `async` block of workflow code: its own awaits were checked.
#[inline]
pub fn block<F: Future>(future: F) -> Block<F> {
    Block::new(future)
}
