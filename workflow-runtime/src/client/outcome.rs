//! Waiting for the end of a run.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use super::Handle;
use crate::clock::{pause, within};
use crate::error::{ErrorKind, Failure, FailureKind};
use crate::model::End;

/// How long a wait goes on before it looks into the store: for ends that
/// another process writes, and for a store that did not answer.
const LOOK: Duration = Duration::from_secs(1);
/// Each look doubles the wait, up to this: many may wait for long.
const LONGEST_LOOK: Duration = Duration::from_secs(60);

/// The end of a run, to be awaited: see [`Handle::result`].
#[must_use = "does nothing until it is awaited"]
#[derive(Debug)]
pub struct RunResult<'a, T, E> {
    handle: &'a Handle<T, E>,
    within: Option<Duration>,
}

impl<'a, T, E> RunResult<'a, T, E> {
    pub(super) fn new(handle: &'a Handle<T, E>) -> Self {
        Self { handle, within: None }
    }

    /// Waits so long and no longer. Then the result is an error of kind
    /// [`FailureKind::Unfinished`], and the run goes on.
    pub fn within(mut self, patience: Duration) -> Self {
        self.within = Some(patience);
        self
    }
}

impl<'a, T: 'a, E: 'a> IntoFuture for RunResult<'a, T, E> {
    type Output = Result<T, E>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { handle, within: patience } = self;
        Box::pin(async move {
            let ended = match patience {
                None => wait(handle).await,
                Some(patience) => match within(patience, wait(handle)).await {
                    Some(ended) => ended,
                    None => {
                        let id = handle.id();
                        let message = format!("run `{id}` has not ended within {patience:?}");
                        Err(Failure::of_kind(FailureKind::Unfinished, message))
                    }
                },
            };
            match ended {
                Ok(end) => read(handle, &end),
                Err(failure) => Err(handle.fail(failure)),
            }
        })
    }
}

fn read<T, E>(handle: &Handle<T, E>, end: &End) -> Result<T, E> {
    handle.decode(&end.output).unwrap_or_else(|error| {
        let message = format!("the result of run `{}` cannot be read: {error}", handle.id());
        Err(handle.fail(Failure::of_kind(FailureKind::Unreadable, message)))
    })
}

async fn wait<T, E>(handle: &Handle<T, E>) -> Result<End, Failure> {
    let mut ending = handle.started_here();
    let mut look = LOOK;
    loop {
        if let Some(told) = ending.clone() {
            let waited = match handle.is_exclusive() {
                true => Some(told.wait().await),
                false => within(look, told.wait()).await,
            };
            match waited {
                Some(Some(end)) if end.is_last() => return Ok(end),
                // The next generation goes on under its id.
                Some(Some(_)) => (ending, look) = (None, LOOK),
                Some(None) => {
                    let id = handle.id();
                    let message = format!(
                        "the runtime was shut down before run `{id}` ended; it goes on when one is \
                         built again"
                    );
                    return Err(Failure::of_kind(FailureKind::Unfinished, message));
                }
                None => look = (look * 2).min(LONGEST_LOOK),
            }
        }
        match handle.find().await {
            Ok(Some(record)) => {
                if let Some(end) = record.end.filter(End::is_last) {
                    return Ok(end);
                }
                if ending.is_none() {
                    // It may have ended in between: one more look comes first.
                    ending = Some(handle.ending_of(record.run));
                    if let Ok(Some(record)) = handle.find().await
                        && let Some(end) = record.end.filter(End::is_last)
                    {
                        return Ok(end);
                    }
                }
            }
            Ok(None) => return Err(Failure::of_kind(FailureKind::NotFound, handle.not_found())),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                return Err(Failure::of_kind(FailureKind::Unreadable, error.to_string()));
            }
            Err(error) if error.kind() == ErrorKind::ShutDown => {
                return Err(Failure::of_kind(FailureKind::Unfinished, error.to_string()));
            }
            Err(_) if ending.is_none() => pause(LOOK).await,
            Err(_) => {}
        }
    }
}
