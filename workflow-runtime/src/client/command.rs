//! What people ask of runs: cancel, terminate, retry, redrive.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use super::Inner;
use crate::error::{Error, ErrorKind};
use crate::model::{Command, CommandKind, Commanded, Named};
use crate::store::terminated;

/// What became of a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CommandOutcome {
    /// It is durable, and whoever runs the run acts on it.
    Accepted,
    /// The run has ended: nothing was changed.
    AlreadyEnded,
    /// There is nothing to do: the run is not blocked, or not dead.
    NothingToDo,
}

/// A command on its way to a run; done when it is awaited.
#[must_use = "nothing is asked until this is awaited"]
pub struct Commanding {
    client: Arc<Inner>,
    id: Arc<str>,
    /// The workflow it has to be a run of.
    named: Option<&'static Named>,
    kind: CommandKind,
    by: Arc<str>,
    reason: Option<Arc<str>>,
}

impl fmt::Debug for Commanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.id)
    }
}

impl Commanding {
    pub(super) fn new(
        client: &Arc<Inner>,
        id: Arc<str>,
        named: Option<&'static Named>,
        kind: CommandKind,
    ) -> Self {
        let client = Arc::clone(client);
        Self { client, id, named, kind, by: "client".into(), reason: None }
    }

    /// Who asks. It is recorded with the run.
    pub fn by(mut self, who: impl Into<String>) -> Self {
        self.by = who.into().into();
        self
    }

    /// Why. It is recorded with the run.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into().into());
        self
    }

    async fn give(self) -> Result<CommandOutcome, Error> {
        let Self { client, id, named, kind, by, reason } = self;
        let is_meant = |workflow: &str| named.is_none_or(|named| named.is_any_version_of(workflow));
        let not_found = || Error::new(ErrorKind::NotFound, format!("there is no run `{id}`"));
        let mut asked = None;
        loop {
            let record = client.store.find(&id).await?;
            let record =
                record.filter(|record| is_meant(&record.workflow)).ok_or_else(not_found)?;
            if asked.replace(record.run) == Some(record.run) {
                return Ok(CommandOutcome::AlreadyEnded);
            }
            let (by, reason) = (Arc::clone(&by), reason.clone());
            let command = Command { number: 0, kind, by, reason, at: client.clock.now() };
            match client.store.command(record.run, command.clone()).await? {
                Commanded::Accepted => {
                    if kind == CommandKind::Terminate {
                        client.endings.tell(record.run, terminated(&command));
                    }
                    client.starts.nudge();
                    return Ok(CommandOutcome::Accepted);
                }
                // The next generation may have begun meanwhile: then it is meant.
                Commanded::Ended => {}
                Commanded::Idle => return Ok(CommandOutcome::NothingToDo),
                Commanded::Unknown => return Err(not_found()),
            }
        }
    }
}

impl IntoFuture for Commanding {
    type Output = Result<CommandOutcome, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.give())
    }
}
