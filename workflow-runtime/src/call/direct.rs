//! The plain body of a step, for unit tests.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use super::Step;
use crate::error::{Failure, FailureKind};
use crate::state::State;
use crate::step::{StepContext, scope};

/// Runs the body of a step without a workflow: see
/// [`Call::direct`](super::Call::direct).
#[must_use = "does nothing until it is awaited"]
pub struct Direct<D: Step> {
    args: Option<D::Args>,
    state: State,
}

impl<D: Step> std::fmt::Debug for Direct<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}(..).direct()", D::NAME)
    }
}

impl<D: Step> Direct<D> {
    pub(super) fn new(args: Option<D::Args>) -> Self {
        Self { args, state: State::default() }
    }

    /// Gives a `#[state]` parameter its value.
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.state.insert(Arc::new(value));
        self
    }

    /// Gives a `#[state]` parameter its value, also one of a trait:
    /// `.shared_state::<dyn Mailer>(mailer)`.
    pub fn shared_state<T: ?Sized + Send + Sync + 'static>(mut self, value: Arc<T>) -> Self {
        self.state.insert(value);
        self
    }
}

impl<D: Step> IntoFuture for Direct<D> {
    type Output = D::Return;
    type IntoFuture = Pin<Box<dyn Future<Output = D::Return> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let missing = D::definition().states.iter().find(|need| !self.state.has(**need));
        let problem = match (self.args, missing) {
            (Some(args), None) => {
                return Box::pin(scope(StepContext::direct(), D::body(Arc::new(self.state), args)));
            }
            (None, _) => "was awaited before: it has no arguments".to_owned(),
            (_, Some(need)) => {
                format!("needs state `{}`: give it with `.state(..)`", (need.name)())
            }
        };
        let message = format!("`{}` {problem}", D::NAME);
        let failure = Failure::of_kind(FailureKind::OutsideWorkflow, message);
        Box::pin(async move { (D::returns().fail)(failure) })
    }
}
