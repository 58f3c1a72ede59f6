//! What may be an argument, a result, an error; with words for what may not.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Failure;

/// What a step or workflow returns: a `Result`, under whatever alias.
#[diagnostic::on_unimplemented(
    message = "a step or workflow returns a `Result`, not `{Self}`",
    label = "not a `Result`",
    note = "any call can time out, be cancelled or panic: the error is where that goes",
    note = "write `workflow_runtime::Result<{Self}>`"
)]
pub trait Outcome: Sized + 'static {
    /// The value of `Ok`.
    type Ok: 'static;
    /// The value of `Err`.
    type Err: 'static;

    /// As a plain `Result`.
    ///
    /// # Errors
    ///
    /// Its own.
    fn into_result(self) -> Result<Self::Ok, Self::Err>;

    /// From a plain `Result`.
    fn from_result(result: Result<Self::Ok, Self::Err>) -> Self;

    /// Borrowed.
    ///
    /// # Errors
    ///
    /// Its own.
    fn as_result(&self) -> Result<&Self::Ok, &Self::Err>;
}

impl<T: 'static, E: 'static> Outcome for Result<T, E> {
    type Ok = T;
    type Err = E;

    fn into_result(self) -> Self {
        self
    }

    fn from_result(result: Self) -> Self {
        result
    }

    fn as_result(&self) -> Result<&T, &E> {
        self.as_ref()
    }
}

/// What can be written to a history and read back.
#[diagnostic::on_unimplemented(
    message = "[WF015] `{Self}` cannot be stored: arguments and results of steps and workflows are \
               written to the history",
    label = "not storable",
    note = "derive both: `#[derive(serde::Serialize, serde::Deserialize)]`, and own the data",
    note = "what the process holds (clients, pools) is no argument: `#[state] name: &Type`"
)]
pub trait Storable: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Storable for T {}

/// What can be the error of a step or workflow, as far as the history goes.
#[diagnostic::on_unimplemented(
    message = "[WF015] `{Self}` cannot be the error of a step or workflow: it cannot be stored",
    label = "an error is written to the history, and comes back as the same value",
    note = "return `workflow_runtime::Result<T>`: its error takes every error by `?`",
    note = "or derive `serde::Serialize` and `serde::Deserialize` for your own enum"
)]
pub trait StorableError: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> StorableError for T {}

/// What has room for the runtime's own failures.
#[diagnostic::on_unimplemented(
    message = "[WF015] `{Self}` cannot be the error of a step or workflow: it has no room for the \
               runtime's own failures",
    label = "needs `From<Failure>` (timeout, cancellation, panic)",
    note = "add a variant: `#[error(transparent)] Runtime(#[from] workflow_runtime::Failure)`",
    note = "or return `workflow_runtime::Result<T>`: its error takes any error by `?`"
)]
pub trait Failing: From<Failure> {}

#[diagnostic::do_not_recommend]
impl<E: From<Failure>> Failing for E {}
