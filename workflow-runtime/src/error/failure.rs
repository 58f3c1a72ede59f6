//! [`Failure`]: the default error of steps and workflows.
//!
//! Like `anyhow::Error` it is made by `?` from every error, and is itself no
//! `Error`. Unlike it, it survives a checkpoint: kind, message, causes,
//! retryability and the typed error it was made from are stored.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Cancelled;
use crate::text::{MAX_FAILURE, cut};

/// What steps and workflows return: the error is a [`Failure`] unless named.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Any error, boxed.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// An error that can be stored and comes back from a checkpoint, a child and a
/// handle with its kind, message, causes, retryability and typed details.
///
/// `?` makes one from every [`std::error::Error`], from `anyhow::Error`, from a
/// `String` and from `&str`. It derefs to [`dyn Error`](std::error::Error), so
/// thiserror's `#[error(transparent)] Runtime(#[from] Failure)` works; it is
/// itself no `Error` ([`into_error`](Self::into_error) makes one).
///
/// ```
/// use workflow_runtime::{Failure, FailureKind};
///
/// fn parse(text: &str) -> Result<u32, Failure> {
///     Ok(text.parse()?)
/// }
/// let failure = parse("x").unwrap_err();
/// assert_eq!(failure.kind(), FailureKind::Raised);
/// assert!(failure.is_retryable());
/// ```
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Failure(Box<Recorded>);

/// Where a [`Failure`] comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// User code returned it.
    Raised,
    /// An attempt of a step took longer than its timeout.
    TimedOut,
    /// The run was cancelled.
    Cancelled,
    /// A step body panicked.
    Panicked,
    /// A result could not be stored: JSON cannot carry it, or it is over the
    /// limit. Final: running the step again would not help.
    Unstorable,
    /// The process died while a step that runs at most once was running:
    /// whether it acted is unknown.
    Interrupted,
    /// The run brought its process down too often and is not tried again.
    Dead,
    /// The history of the run reached its longest length.
    HistoryFull,
    /// Code and history of the run disagree, and its workflow says
    /// `on_mismatch = fail`.
    Mismatch,
    /// A signal was not delivered, or a child not started: there is no such run, it
    /// has ended, its mailbox is full, or the workflow id is taken.
    Undelivered,
    /// A request was refused: what it asks for is not valid, or the run that got it
    /// said no.
    Rejected,
    /// A request was not answered: its run ended without an answer.
    Unanswered,
    /// A call was awaited where no workflow runs.
    OutsideWorkflow,
    /// There is no run of that workflow and id.
    NotFound,
    /// The run has not ended within the time given; it goes on.
    Unfinished,
    /// The store cannot give the result back: it is damaged, or this build
    /// reads another type. The run's record is as it was.
    Unreadable,
    /// Written by a newer version of this crate.
    #[serde(other)]
    Other,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Recorded {
    kind: FailureKind,
    #[serde(rename = "type", default, skip_serializing_if = "String::is_empty")]
    type_name: String,
    message: String,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    retryable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    details: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Box<Self>>,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_true(value: &bool) -> bool {
    *value
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Recorded {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The message and its causes, for people: `fn main() -> Result<(), Failure>`
/// prints this.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.message)?;
        let mut cause = self.0.source.as_deref();
        while let Some(link) = cause {
            write!(f, "\n  caused by: {}", link.message)?;
            cause = link.source.as_deref();
        }
        if self.0.kind != FailureKind::Raised {
            write!(f, " ({:?})", self.0.kind)?;
        }
        Ok(())
    }
}

impl std::ops::Deref for Failure {
    type Target = dyn StdError + Send + Sync + 'static;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Failure {
    /// A retryable failure of kind [`FailureKind::Raised`].
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self::of_kind(FailureKind::Raised, message)
    }

    pub(crate) fn of_kind(kind: FailureKind, message: impl Into<String>) -> Self {
        let retryable = !matches!(
            kind,
            FailureKind::Unstorable | FailureKind::OutsideWorkflow | FailureKind::Interrupted
        );
        Self(Box::new(Recorded {
            kind,
            type_name: String::new(),
            message: cut(&message.into(), MAX_FAILURE).into_owned(),
            retryable,
            retry_after_ms: None,
            details: None,
            source: None,
        }))
    }

    /// Where it comes from.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.0.kind
    }

    /// Whether a step that failed with it may be tried again, if its retry
    /// policy has attempts left. True unless made [`final`](Self::into_final).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// The same failure, never retried.
    #[must_use]
    pub fn into_final(mut self) -> Self {
        self.0.retryable = false;
        self
    }

    /// The same failure; the next attempt starts no sooner than `delay` from
    /// now, also where the retry policy would be quicker.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after_ms = Some(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        self
    }

    pub(crate) fn delay(&self) -> Option<Duration> {
        self.0.retry_after_ms.map(Duration::from_millis)
    }

    /// Name of the error type it was made from; empty if from a text.
    #[must_use]
    pub fn type_name(&self) -> &str {
        &self.0.type_name
    }

    /// The typed error it was made from by `?`, if that type is the declared
    /// error of some step or workflow.
    #[must_use]
    pub fn details<E: DeserializeOwned + 'static>(&self) -> Option<E> {
        if self.0.type_name != std::any::type_name::<E>() {
            return None;
        }
        E::deserialize(self.0.details.as_ref()?).ok()
    }

    /// As an ordinary error, for `fn main() -> Result<(), Box<dyn Error>>`.
    #[must_use]
    pub fn into_error(self) -> BoxError {
        self.0
    }
}

/// `?` on every error, `anyhow::Error`, `String` and `&str`.
impl<E: Into<BoxError> + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        // Declared errors are `Serialize`: found by their type, so that this
        // impl needs no bound for it.
        let details = ErrorType::details_of(&error);
        let cancelled = (&error as &dyn Any).is::<Cancelled>();
        let error: BoxError = error.into();
        let mut recorded = link(&*error);
        if cancelled {
            recorded.kind = FailureKind::Cancelled;
        }
        recorded.type_name = std::any::type_name::<E>().to_owned();
        recorded.details = details;
        Self(Box::new(recorded))
    }
}

fn link(error: &(dyn StdError + 'static)) -> Recorded {
    Recorded {
        kind: FailureKind::Raised,
        type_name: String::new(),
        message: cut(&error.to_string(), MAX_FAILURE).into_owned(),
        retryable: true,
        retry_after_ms: None,
        details: None,
        source: error.source().map(|source| Box::new(link(source))),
    }
}

/// A type that some step or workflow declares as its error.
#[derive(Clone, Copy, Debug)]
pub struct ErrorType {
    id: fn() -> TypeId,
    encode: fn(&dyn Any) -> Option<serde_json::Value>,
}

inventory::collect!(ErrorType);

impl ErrorType {
    /// Describes `E`; generated code submits it.
    #[must_use]
    pub const fn of<E: Serialize + 'static>() -> Self {
        Self {
            id: TypeId::of::<E>,
            encode: |error| serde_json::to_value(error.downcast_ref::<E>()?).ok(),
        }
    }

    fn details_of(error: &dyn Any) -> Option<serde_json::Value> {
        type Encode = fn(&dyn Any) -> Option<serde_json::Value>;
        static TYPES: OnceLock<BTreeMap<TypeId, Encode>> = OnceLock::new();
        let types = TYPES.get_or_init(|| {
            inventory::iter::<Self>().map(|known| ((known.id)(), known.encode)).collect()
        });
        types.get(&error.type_id())?(error)
    }
}
