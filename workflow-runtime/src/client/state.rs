//! What runs show.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::Inner;
use crate::clock::pause;
use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::model::{End, RunId};

/// How soon is looked again, and how long a wait between two looks becomes.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LONGEST_LOOK: Duration = Duration::from_millis(250);

type Version = (RunId, i64);

impl Inner {
    pub(super) async fn shown<S: DeserializeOwned>(
        &self,
        id: &str,
    ) -> Result<Option<(Version, S)>, Error> {
        let Some(shown) = self.store.shown(id).await? else { return Ok(None) };
        let state = codec::decode(&shown.body).map_err(|error| {
            let message = format!("what run `{id}` shows cannot be read: {error}");
            Error::new(ErrorKind::Corrupt, message)
        })?;
        Ok(Some((shown.version, state)))
    }

    async fn is_over(&self, id: &str) -> Result<bool, Error> {
        let found = self.store.find(id).await?;
        Ok(found.is_some_and(|record| record.end.as_ref().is_some_and(End::is_last)))
    }
}

/// What a run shows, each time it says so. See [`Handle::watch`](crate::Handle::watch).
pub struct Watch<S> {
    client: Arc<Inner>,
    id: Arc<str>,
    seen: Option<Version>,
    state: PhantomData<fn() -> S>,
}

impl<S> fmt::Debug for Watch<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({})", self.id)
    }
}

impl<S: DeserializeOwned> Watch<S> {
    pub(super) fn new(client: &Arc<Inner>, id: &Arc<str>) -> Self {
        let (client, id) = (Arc::clone(client), Arc::clone(id));
        Self { client, id, seen: None, state: PhantomData }
    }

    /// The next one that was not seen here: at first what is shown now. States that
    /// follow each other faster than this is asked may be skipped, never the last.
    /// None: the run has ended, and its last state was seen. Waits through faults of
    /// the store, and for a run that is not started yet.
    ///
    /// ```no_run
    /// # use workflow_runtime::{Handle, Result};
    /// # async fn example(run: Handle<u32>) -> Result<()> {
    /// let mut watch = run.watch::<String>();
    /// while let Some(progress) = watch.next().await? {
    ///     println!("{progress}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`]: it is of another type. [`ErrorKind::ShutDown`].
    ///
    /// # Cancel safety
    ///
    /// Dropped, nothing is lost.
    pub async fn next(&mut self) -> Result<Option<S>, Error> {
        let mut look = FIRST_LOOK;
        loop {
            match self.look().await {
                Ok((Some(state), _)) => return Ok(Some(state)),
                Ok((None, true)) => return Ok(None),
                Ok((None, false)) => {}
                Err(error) if error.kind() == ErrorKind::Unavailable => {}
                Err(error) => return Err(error),
            }
            pause(look).await;
            look = (look * 2).min(LONGEST_LOOK);
        }
    }

    /// What was not seen, and whether nothing follows it.
    async fn look(&mut self) -> Result<(Option<S>, bool), Error> {
        // In this order: what it shows last is there when it has ended.
        let is_over = self.client.is_over(&self.id).await?;
        match self.client.shown(&self.id).await? {
            Some((version, state)) if self.seen != Some(version) => {
                self.seen = Some(version);
                Ok((Some(state), is_over))
            }
            _ => Ok((None, is_over)),
        }
    }
}
