//! What the macros know about a function, with its types erased.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{Ended, RetryPolicy};
use crate::error::Failure;
use crate::state::{State, StateNeed};

/// How a function is named in the store, and where it stands in the source.
#[derive(Debug)]
pub struct Named {
    /// Its stable name.
    pub name: &'static str,
    /// Names it had before.
    pub was: &'static [&'static str],
    /// Source file.
    pub file: &'static str,
    /// Line in it.
    pub line: u32,
}

impl Named {
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.was.contains(&name)
    }

    /// Whether a run that is stored under that name is one of this workflow, in
    /// whatever version.
    pub(crate) fn is_any_version_of(&self, name: &str) -> bool {
        let plain = |name: &str| name.split('@').next().map(str::to_owned);
        let own = self.was.iter().chain([&self.name]);
        own.into_iter().any(|own| plain(own) == plain(name))
    }
}

/// How large one stored value may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of JSON.
    pub payload: usize,
}

/// A value encoded for the store, with the value it reads back as.
pub struct StepOutcome {
    /// JSON.
    pub text: Arc<str>,
    /// What `text` decodes to: handed to the workflow so that the first run
    /// sees what a replay sees, without decoding twice.
    pub value: Option<Box<dyn Any + Send>>,
}

impl std::fmt::Debug for StepOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Arc<str>> for StepOutcome {
    fn from(text: Arc<str>) -> Self {
        Self { text, value: None }
    }
}

/// How an attempt of a step ended.
#[derive(Debug)]
pub struct StepRun {
    /// What is recorded if no attempt follows.
    pub outcome: StepOutcome,
    /// None if it succeeded.
    pub failed: Option<AttemptFailure>,
}

impl StepRun {
    /// A failure whose value could not be made: it is read from its text.
    pub(crate) fn without_value(failure: &Failure) -> Self {
        let message = failure.to_string();
        let text = serde_json::json!({ "failure": failure }).to_string();
        let outcome = StepOutcome { text: text.into(), value: None };
        Self {
            outcome,
            failed: Some(AttemptFailure { message, retryable: false, retry_after: None }),
        }
    }
}

/// Why an attempt failed.
#[derive(Clone, Debug)]
pub struct AttemptFailure {
    /// For people.
    pub message: String,
    /// Whether another attempt may follow.
    pub retryable: bool,
    /// The least wait before it.
    pub retry_after: Option<Duration>,
}

/// The body of a step, running.
pub type StepFuture = Pin<Box<dyn Future<Output = StepRun> + Send>>;

/// A step, its types erased.
#[derive(Debug)]
pub struct StepDefinition {
    /// Its name and place.
    pub named: Named,
    /// Retries unless the call says otherwise.
    pub retry: RetryPolicy,
    /// Bound of one attempt unless the call says otherwise.
    pub timeout: Option<Duration>,
    /// An attempt that a crash cut short is not followed by another.
    pub at_most_once: bool,
    /// State it borrows.
    pub states: &'static [StateNeed],
    /// Makes an attempt from its arguments as JSON.
    pub run: fn(&Arc<State>, &str, Limits) -> Result<StepFuture, Failure>,
    /// How an attempt that gave no value of its own is recorded: timed out,
    /// panicked. The retry predicate is asked about it too.
    pub fail: fn(Failure, Limits) -> StepRun,
}

/// A workflow's result, encoded.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// JSON.
    pub text: Arc<str>,
    /// How the workflow ended.
    pub(crate) how: Ended,
    /// How the next generation begins, where it ended for that.
    pub(crate) successor: Option<Box<Successor>>,
}

/// How the next generation of a run begins.
#[derive(Clone, Debug)]
pub(crate) struct Successor {
    pub(crate) workflow: Arc<str>,
    /// JSON list.
    pub(crate) args: Arc<str>,
    pub(crate) seed: i64,
    /// JSON map of texts.
    pub(crate) meta: Option<Arc<str>>,
}

impl Encoded {
    pub(crate) fn new(text: impl Into<Arc<str>>, how: Ended) -> Self {
        Self { text: text.into(), how, successor: None }
    }

    pub(crate) fn followed_by(self, next: Successor) -> Self {
        Self { successor: Some(Box::new(next)), ..self }
    }
}

/// A workflow, running.
pub type WorkflowFuture = Pin<Box<dyn Future<Output = Encoded>>>;

/// Makes a workflow from its arguments as JSON.
pub type WorkflowBegin = fn(&str, Limits) -> Result<WorkflowFuture, String>;

/// A workflow, its types erased.
#[derive(Debug)]
pub struct WorkflowDefinition {
    /// Its name and place.
    pub named: Named,
    /// Makes its future.
    pub begin: WorkflowBegin,
    /// What happens to a run whose history the code does not repeat.
    pub on_mismatch: MismatchPolicy,
}

/// What happens to a run whose history the code does not repeat.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MismatchPolicy {
    /// It is set aside until a build comes that can go on with it.
    Block,
    /// It ends with a failure.
    Fail,
    /// It ends, and the next generation begins anew with the same arguments.
    Restart,
}
