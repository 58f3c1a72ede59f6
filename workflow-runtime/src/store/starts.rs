//! How a start reaches whoever runs it: the one thing that a client asks of a
//! worker in its process.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::Error;
use crate::model::RunId;

/// A run that a client wants.
#[derive(Debug)]
pub(crate) struct NewRun {
    pub(crate) run: RunId,
    pub(crate) workflow: &'static str,
    pub(crate) id: Arc<str>,
    /// JSON list.
    pub(crate) args: Arc<str>,
    /// JSON map of texts.
    pub(crate) meta: Option<Arc<str>>,
    /// Told when it is durable whose the id is.
    pub(crate) accepted: oneshot::Sender<Result<Accepted, Error>>,
}

/// What became of a start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Accepted {
    /// The run is durable.
    Started,
    /// The id belongs to that run.
    Taken(RunId),
    /// The number belongs to another run: the start needs another one.
    Used,
}

/// Takes starts.
pub(crate) trait Starts: Send + Sync + 'static {
    /// Runs it; answers through [`NewRun::accepted`].
    ///
    /// # Errors
    ///
    /// Nothing is accepted any more; or not yet, where it is
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable).
    fn start(&self, new: NewRun) -> Result<(), Error>;

    /// Something was asked of a run: whoever has it should look.
    fn nudge(&self);

    /// Takes no more.
    fn close(&self);
}
