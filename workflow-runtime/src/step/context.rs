//! Which attempt of which step is running.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use super::{Cancel, Mailer};
use crate::model::{CallId, RunId};

/// Which attempt of which step is running.
#[derive(Clone)]
pub(crate) struct StepContext {
    pub(crate) workflow_id: Arc<str>,
    pub(crate) run: RunId,
    pub(crate) seed: i64,
    pub(crate) call: CallId,
    /// From 1.
    pub(crate) attempt: u32,
    /// JSON map of texts.
    pub(crate) meta: Option<Arc<str>>,
    /// JSON: what an earlier attempt said last.
    pub(crate) detail: Option<Arc<str>>,
    pub(crate) cancel: Arc<Cancel>,
    /// Where heartbeats go, and the run's place there.
    pub(crate) heart: Option<(Arc<dyn Heart>, usize)>,
    /// Where its signals go.
    pub(crate) mailer: Option<Arc<dyn Mailer>>,
    /// Signals that it has sent.
    pub(crate) sent: Cell<u32>,
    /// Largest detail or signal, in bytes.
    pub(crate) payload_limit: usize,
}

/// Takes heartbeats.
pub(crate) trait Heart: Send + Sync + 'static {
    fn beat(&self, slot: usize, run: RunId, call: CallId, detail: Arc<str>);
}

impl fmt::Debug for StepContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} attempt {}", self.workflow_id, self.call, self.attempt)
    }
}

tokio::task_local! {
    static CURRENT: StepContext;
}

/// Runs `body` as that attempt.
pub(crate) fn scope<F: Future>(context: StepContext, body: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(context, body)
}

pub(super) fn current() -> Option<StepContext> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Counts one more signal of the attempt; gives how many came before.
pub(super) fn count_send() -> u32 {
    CURRENT.try_with(|context| context.sent.replace(context.sent.get() + 1)).unwrap_or(0)
}

impl StepContext {
    /// For a body that runs without a workflow.
    pub(crate) fn direct() -> Self {
        Self {
            workflow_id: "direct".into(),
            run: RunId(0),
            seed: 0,
            call: CallId(0),
            attempt: 1,
            meta: None,
            detail: None,
            cancel: Arc::default(),
            heart: None,
            mailer: None,
            sent: Cell::new(0),
            payload_limit: usize::MAX,
        }
    }

    pub(super) fn beat(&self, detail: Arc<str>) {
        if let Some((heart, slot)) = &self.heart {
            heart.beat(*slot, self.run, self.call, detail);
        }
    }
}
