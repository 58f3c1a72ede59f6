//! A look, when a worker has started, at runs that nobody would look at for long.

use std::sync::Arc;

use tokio::task::AbortHandle;

use crate::check::{CheckReport, Scope, check};
use crate::error::Error;
use crate::model::Limits;
use crate::registry::Registry;
use crate::store::Store;
use crate::worker::Settings;

/// What is looked at, and with which code.
pub(super) struct Look {
    scope: Scope,
    registry: Registry,
    limits: Limits,
    build: Arc<str>,
}

/// A look that is under way.
pub(super) struct Looking(AbortHandle);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Look {
    /// At so many runs of the workflows of this worker: those of others are
    /// another program's.
    pub(super) fn new(settings: &Settings, registry: &Registry, runs: usize) -> Self {
        let workflows = registry.names().map(str::to_owned).collect();
        let strict = settings.strict_arguments;
        let scope = Scope { workflows, limit: Some(runs), waiting: true, strict };
        let (registry, build) = (registry.clone(), Arc::clone(&settings.build));
        Self { scope, registry, limits: settings.limits, build }
    }

    /// Beside the worker: nobody waits for it.
    pub(super) fn begin(self, store: Arc<dyn Store>) -> Option<Looking> {
        let Self { scope, registry, limits, build } = self;
        if scope.limit == Some(0) || scope.workflows.is_empty() {
            return None;
        }
        let look = async move { tell(check(store, &registry, limits, &build, scope).await) };
        Some(Looking(tokio::spawn(look).abort_handle()))
    }
}

fn tell(looked: Result<CheckReport, Error>) {
    match looked {
        Ok(report) if report.is_good() => {}
        Ok(report) => {
            let (count, of) = (report.stranded().count(), report.runs().len());
            tracing::error!(
                "this build cannot go on with {count} of the {of} waiting runs that were looked at; \
                 when they are due they are set aside: {report}"
            );
        }
        Err(error) => tracing::debug!("waiting runs were not looked at: {error}"),
    }
}
