//! What `#[step]` and `#[workflow]` implement, and how an attempt becomes a
//! record.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{ArgsCodec, Call, Returns};
use crate::codec::encode_tagged;
use crate::error::{Failure, FailureKind};
use crate::model::{
    AttemptFailure, Encoded, Ended, Limits, Named, StepDefinition, StepFuture, StepOutcome,
    StepRun, WorkflowDefinition, WorkflowFuture,
};
use crate::state::State;

/// The body of a step, before its types are erased.
pub type StepBody<R> = Pin<Box<dyn Future<Output = R> + Send>>;

/// The body of a workflow, before its types are erased.
pub type WorkflowBody<R> = Pin<Box<dyn Future<Output = R>>>;

/// A function made durable. Implemented by `#[step]` and `#[workflow]` only.
pub trait Definition: Sized + 'static {
    /// `()`, the one argument, or a tuple.
    type Args: 'static;
    /// The declared return type.
    type Return: 'static;
    /// The stable name.
    const NAME: &'static str;

    #[doc(hidden)]
    fn args() -> &'static dyn ArgsCodec<Self::Args>;

    #[doc(hidden)]
    fn returns() -> &'static Returns<Self::Return>;

    /// What a call in a workflow does.
    #[doc(hidden)]
    fn kind() -> DefinitionKind;
}

/// What a definition is.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum DefinitionKind {
    /// A step.
    Step(&'static StepDefinition),
    /// A workflow.
    Workflow(&'static Named),
}

/// A function with side effects. Implemented by `#[step]` only.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a step",
    label = "this works on calls of `#[step]` functions only",
    note = "a workflow is started with `runtime.start(call)`; one that is awaited in a workflow is its child"
)]
pub trait Step: Definition {
    #[doc(hidden)]
    fn definition() -> &'static StepDefinition;

    #[doc(hidden)]
    fn body(state: Arc<State>, args: Self::Args) -> StepBody<Self::Return>;

    /// Whether another attempt may follow what an attempt returned.
    #[doc(hidden)]
    fn retry_if(_returned: &Self::Return) -> bool {
        true
    }
}

/// A function that directs steps. Implemented by `#[workflow]` only.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a workflow",
    label = "this works on calls of `#[workflow]` functions only",
    note = "a step has no id of its own: it runs where its workflow runs"
)]
pub trait Workflow: Definition {
    #[doc(hidden)]
    fn definition() -> &'static WorkflowDefinition;

    #[doc(hidden)]
    fn body(args: Self::Args) -> WorkflowBody<Self::Return>;
}

/// A step or workflow named by its function: `charge`, not `charge(..)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `#[step]` or `#[workflow]` function",
    label = "give the function itself: `charge`, not `charge(..)`"
)]
pub trait Definer<Marker> {
    /// What the function defines.
    type Definition: Definition;
}

macro_rules! definers {
    ($(($($arg:ident)*))*) => {$(
        impl<Func, Def, $($arg),*> Definer<($($arg,)*)> for Func
        where
            Func: Fn($($arg),*) -> Call<Def>,
            Def: Definition,
        {
            type Definition = Def;
        }
    )*};
}
definers! {
    ()
    (A)
    (A B)
    (A B C)
    (A B C D)
    (A B C D E)
    (A B C D E F)
    (A B C D E F G)
    (A B C D E F G H)
    (A B C D E F G H I)
    (A B C D E F G H I J)
    (A B C D E F G H I J K)
    (A B C D E F G H I J K L)
}

/// Makes an attempt of a step from its stored arguments.
///
/// # Errors
///
/// The arguments are not read back from JSON as they were (a NaN, say).
pub fn run_step<D: Step>(
    state: &Arc<State>,
    args: &str,
    limits: Limits,
) -> Result<StepFuture, Failure> {
    let args = D::args().decode(args).map_err(|error| {
        let message = format!("`{}` cannot read its arguments: {error}", D::NAME);
        Failure::of_kind(FailureKind::Unstorable, message)
    })?;
    let body = D::body(Arc::clone(state), args);
    Ok(Box::pin(async move { record::<D>(&body.await, limits) }))
}

/// An attempt that is answered in place of its body.
#[cfg(feature = "testing")]
pub(crate) fn mock_step<D: Step>(
    args: &str,
    limits: Limits,
    answer: impl FnOnce(D::Args) -> D::Return + Send + 'static,
) -> StepFuture {
    let args = args.to_owned();
    Box::pin(async move {
        match D::args().decode(&args) {
            Ok(args) => record::<D>(&answer(args), limits),
            Err(error) => {
                let message = format!("`{}` cannot read its arguments: {error}", D::NAME);
                fail_step::<D>(Failure::of_kind(FailureKind::Unstorable, message), limits)
            }
        }
    })
}

/// Records an attempt that gave no value of its own.
#[must_use]
pub fn fail_step<D: Step>(failure: Failure, limits: Limits) -> StepRun {
    let facts = AttemptFailure {
        message: failure.to_string(),
        retryable: failure.is_retryable(),
        retry_after: None,
    };
    let text = encode_tagged("failure", &failure, limits.payload.max(MIN_FAILURE));
    let value = (D::returns().fail)(failure);
    let retryable = facts.retryable && D::retry_if(&value);
    let text = text.unwrap_or_else(|_| UNKNOWN_FAILURE.to_owned());
    let value = Some((D::returns().pack)(value));
    let outcome = StepOutcome { text: text.into(), value };
    StepRun { outcome, failed: Some(AttemptFailure { retryable, ..facts }) }
}

/// A failure is recorded whatever the limit of results is.
const MIN_FAILURE: usize = 64 * 1024;
const UNKNOWN_FAILURE: &str = r#"{"failure":{"kind":"raised","message":"it cannot be stored"}}"#;

/// What an attempt returned, as it is recorded: encoded, and read back once,
/// so that the first run sees what a replay sees.
fn record<D: Step>(returned: &D::Return, limits: Limits) -> StepRun {
    let codec = D::returns();
    let encoded = (codec.encode)(returned, limits.payload).map_err(|error| error.to_string());
    let stored = encoded.and_then(|text| match (codec.decode)(&text) {
        Ok(value) => Ok((text, value)),
        Err(error) => Err(format!("it is not read back as it was written: {error}")),
    });
    match stored {
        Ok((text, value)) => {
            let failed = (codec.inspect)(returned).map(|facts| AttemptFailure {
                retryable: facts.retryable && D::retry_if(returned),
                ..facts
            });
            let value = Some((codec.pack)(value));
            let outcome = StepOutcome { text: text.into(), value };
            StepRun { outcome, failed }
        }
        Err(error) => {
            let message = format!("the result of `{}` cannot be stored: {error}", D::NAME);
            fail_step::<D>(Failure::of_kind(FailureKind::Unstorable, message), limits)
        }
    }
}

/// Makes a workflow from its stored arguments.
///
/// # Errors
///
/// The stored arguments are not those of this function.
pub fn begin_workflow<D: Workflow>(args: &str, limits: Limits) -> Result<WorkflowFuture, String> {
    let body = D::body(D::args().decode(args)?);
    Ok(Box::pin(async move {
        let returned = body.await;
        let ok = (D::returns().is_ok)(&returned);
        let how = if ok { Ended::Completed } else { Ended::Failed };
        let encoded = (D::returns().encode)(&returned, limits.payload);
        let stored = encoded.map_err(|error| error.to_string()).and_then(|text| {
            // What does not read back is no result.
            (D::returns().decode)(&text).map(|_| text)
        });
        match stored {
            Ok(text) => Encoded::new(text, how),
            Err(error) => {
                unstorable(&format!("the result of `{}` cannot be stored: {error}", D::NAME))
            }
        }
    }))
}

/// The end of a workflow that could not store what it ends with.
pub(crate) fn unstorable(message: &str) -> Encoded {
    let failure = Failure::of_kind(FailureKind::Unstorable, message);
    let text = encode_tagged("failure", &failure, MIN_FAILURE);
    Encoded::new(text.unwrap_or_else(|_| UNKNOWN_FAILURE.to_owned()), Ended::Failed)
}
