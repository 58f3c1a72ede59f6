//! What all clients of one store share: starts, and who has which id.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore as _;
use tokio::sync::oneshot;

use super::{ErrOf, Handle, OkOf, Starting, handle_of};
use crate::call::{Call, Outcome, Workflow, encode_start};
use crate::clock::{Clock, pause};
use crate::codec::canonical;
use crate::error::{Error, ErrorKind};
use crate::model::{Limits, RunId, RunRecord, check_id, write_meta};
use crate::store::{Accepted, Endings, NewRun, Numbers, Pulse, Starts, Store};
use crate::text::cut;

/// What every handle shares.
pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) endings: Arc<Endings>,
    pub(crate) starts: Arc<dyn Starts>,
    pub(crate) numbers: Numbers,
    pub(crate) limits: Limits,
    /// Most signals that wait for one run.
    pub(crate) max_mailbox: u32,
    pub(crate) clock: Arc<dyn Clock>,
    /// No worker of this process has the store, too.
    pub(crate) without_worker: bool,
    /// No other process has the store: nothing has to be looked for.
    pub(crate) exclusive: bool,
    /// For ids.
    pub(crate) chance: Mutex<ChaCha8Rng>,
}

impl Inner {
    /// Starts a run, or finds the one that has its id.
    pub(crate) fn start<W>(self: &Arc<Self>, call: Call<W>) -> Starting<OkOf<W>, ErrOf<W>>
    where
        W: Workflow,
        W::Return: Outcome,
    {
        let (args, options) = call.into_parts();
        let (id, meta) = (options.id, checked(&options.meta));
        // Encoded before the first wait: arguments need not be `Send`.
        let args = args.ok_or_else(|| {
            Error::new(ErrorKind::Configuration, "a call that was awaited cannot be started")
        });
        let args = args.and_then(|args| self.encode::<W>(&args));
        let client = Arc::clone(self);
        Starting(Box::pin(async move { client.start_encoded::<W>(id, args?, meta?).await }))
    }

    /// Starts a run as often as it takes to know that it is there. `id`: for
    /// calls without one.
    #[cfg(feature = "testing")]
    pub(crate) async fn start_until_known<W>(
        self: &Arc<Self>,
        call: Call<W>,
        id: impl FnOnce() -> String,
    ) -> Result<Handle<OkOf<W>, ErrOf<W>>, Error>
    where
        W: Workflow,
        W::Return: Outcome,
    {
        let (args, options) = call.into_parts();
        let meta = checked(&options.meta)?;
        let id = options.id.unwrap_or_else(|| id().into());
        let args = match args {
            Some(args) => self.encode::<W>(&args)?,
            None => {
                let message = "a call that was awaited cannot be started";
                return Err(Error::new(ErrorKind::Configuration, message));
            }
        };
        let mut tries = 0;
        loop {
            let (id, args) = (Some(Arc::clone(&id)), Arc::clone(&args));
            match self.start_encoded::<W>(id, args, meta.clone()).await {
                Err(error) if error.kind() == ErrorKind::ShutDown && tries < 100 => tries += 1,
                known => return known,
            }
        }
    }

    fn encode<W: Workflow>(&self, args: &W::Args) -> Result<Arc<str>, Error> {
        encode_start::<W>(args, self.limits.payload).map_err(|error| {
            let message = format!("`{}` cannot be started: {error}", W::NAME);
            Error::new(ErrorKind::Unstorable, message)
        })
    }

    async fn start_encoded<W>(
        self: &Arc<Self>,
        id: Option<Arc<str>>,
        args: Arc<str>,
        meta: Option<Arc<str>>,
    ) -> Result<Handle<OkOf<W>, ErrOf<W>>, Error>
    where
        W: Workflow,
        W::Return: Outcome,
    {
        if let Some(id) = &id {
            check_id(id).map_err(unstorable)?;
        }
        // An id of the engine's is ordered: a random one costs the index dear.
        let id = id.unwrap_or_else(|| self.new_id());
        let mut is_unknown = false;
        loop {
            let run = self.numbers.next().await?;
            let ending = self.endings.of(run);
            let answer = self.accepted::<W>(run, &id, &args, meta.clone()).await;
            if !matches!(answer, Ok(Some(Accepted::Started))) {
                self.endings.forget(run);
            }
            match answer {
                Ok(Some(Accepted::Started)) => {
                    return Ok(handle_of::<W>(self, id, Some((run, ending))));
                }
                Ok(Some(Accepted::Taken(_))) => {
                    self.attach::<W>(&id, &args).await?;
                    return Ok(handle_of::<W>(self, id, None));
                }
                Ok(Some(Accepted::Used)) => self.numbers.discard(),
                // Under the same id it is the same start.
                Ok(None) => is_unknown = true,
                Err(error) if error.kind() == ErrorKind::Unavailable => pause(RETRY).await,
                Err(error) if error.kind() == ErrorKind::ShutDown && is_unknown => {
                    return Err(unknown(&id));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What becomes of a start under that number. None: whoever had it is gone.
    async fn accepted<W: Workflow>(
        &self,
        run: RunId,
        id: &Arc<str>,
        args: &Arc<str>,
        meta: Option<Arc<str>>,
    ) -> Result<Option<Accepted>, Error> {
        let (accepted, answer) = oneshot::channel();
        let (asked, args) = (Arc::clone(id), Arc::clone(args));
        self.starts.start(NewRun { run, workflow: W::NAME, id: asked, args, meta, accepted })?;
        answer.await.ok().transpose()
    }

    /// Whether a signal can be stored under these names.
    pub(super) fn check_message(&self, to: &str, message: Option<&str>) -> Result<(), Error> {
        check_id(to).and_then(|()| message.map_or(Ok(()), check_id)).map_err(unstorable)
    }

    /// A `UUIDv7`.
    pub(super) fn new_id(&self) -> Arc<str> {
        let mut random = [0; 10];
        self.chance.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut random);
        let millis = u64::try_from(self.clock.now().as_millis()).unwrap_or(0);
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        id.to_string().into()
    }

    /// Whether the run that has the id is the one that was meant.
    async fn attach<W: Workflow>(&self, id: &str, args: &str) -> Result<(), Error> {
        // What it was started with: it may have been restarted with something else.
        let Some(record) = self.store.find_first(id).await? else { return Ok(()) };
        let RunRecord { workflow, args: stored, .. } = record;
        let conflict = |what: String| {
            let message = format!("workflow id `{id}` is taken by a run {what}");
            Err(Error::new(ErrorKind::Conflict, message))
        };
        if !W::definition().named.is_called(&workflow) {
            return conflict(format!("of `{workflow}`, and this is `{}`", W::NAME));
        }
        if canonical(&stored) != canonical(args) {
            return conflict(format!(
                "with other arguments: it has {}, and this call {}",
                cut(&stored, SHOWN),
                cut(args, SHOWN)
            ));
        }
        Ok(())
    }
}

fn checked(meta: &BTreeMap<String, String>) -> Result<Option<Arc<str>>, Error> {
    write_meta(meta).map_err(|message| Error::new(ErrorKind::Unstorable, message))
}

fn unknown(id: &str) -> Error {
    let message = format!(
        "the runtime stopped before it was known whether run {id} was accepted: start it again \
         under the same id"
    );
    Error::new(ErrorKind::ShutDown, message)
}

/// A start that comes between two lives of a worker waits so long.
const RETRY: Duration = Duration::from_millis(20);

/// Longest shown arguments, in bytes.
const SHOWN: usize = 200;

fn unstorable(fault: String) -> Error {
    Error::new(ErrorKind::Unstorable, fault)
}
