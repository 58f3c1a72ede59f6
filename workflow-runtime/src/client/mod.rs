//! Starts runs and reads them. A client and a worker meet only in the store.

mod handle;
mod outcome;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

pub use handle::Handle;
pub(crate) use handle::handle_of;
pub use outcome::RunResult;

use crate::call::{Call, Outcome, Workflow};
use crate::codec::{canonical, within};
use crate::error::{Error, ErrorKind};
use crate::model::{Limits, RunRecord};
use crate::store::{Accepted, Endings, MAX_ID, NewRun, Numbers, Starts, Store};
use crate::text::cut;

/// The value and the error of a workflow's result.
pub(crate) type OkOf<W> = <<W as crate::call::Definition>::Return as Outcome>::Ok;
pub(crate) type ErrOf<W> = <<W as crate::call::Definition>::Return as Outcome>::Err;

/// A start on its way: see [`Runtime::start`](crate::Runtime::start).
#[must_use = "a run is started when this is awaited"]
pub struct Starting<T, E>(Start<T, E>);

type Start<T, E> = Pin<Box<dyn Future<Output = Result<Handle<T, E>, Error>> + Send>>;

impl<T, E> fmt::Debug for Starting<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Starting")
    }
}

impl<T, E> Future for Starting<T, E> {
    type Output = Result<Handle<T, E>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

/// What every handle shares.
pub(crate) struct Client {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) endings: Arc<Endings>,
    pub(crate) starts: Arc<dyn Starts>,
    pub(crate) numbers: Numbers,
    pub(crate) limits: Limits,
}

impl Client {
    /// Starts a run, or finds the one that has its id.
    pub(crate) fn start<W>(self: &Arc<Self>, call: Call<W>) -> Starting<OkOf<W>, ErrOf<W>>
    where
        W: Workflow,
        W::Return: Outcome,
    {
        let (args, options) = call.into_parts();
        let (id, meta) = (options.id, options.meta);
        let meta = (!meta.is_empty()).then(|| serde_json::json!(meta).to_string().into());
        // Encoded before the first wait: arguments need not be `Send`.
        let args = args.ok_or_else(|| {
            Error::new(ErrorKind::Configuration, "a call that was awaited cannot be started")
        });
        let args = args.and_then(|args| self.encode::<W>(&args));
        let client = Arc::clone(self);
        Starting(Box::pin(async move { client.start_encoded::<W>(id, args?, meta).await }))
    }

    fn encode<W: Workflow>(&self, args: &W::Args) -> Result<Arc<str>, Error> {
        let unstorable = |error: String| {
            let message = format!("`{}` cannot be started: {error}", W::NAME);
            Error::new(ErrorKind::Unstorable, message)
        };
        let text = W::args().encode(args).map_err(unstorable)?;
        let fits = within(text.len(), self.limits.payload);
        fits.map_err(|error| unstorable(format!("the arguments: {error}")))?;
        // What does not read back would never run.
        W::args().decode(&text).map_err(unstorable)?;
        Ok(text.into())
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
            check_id(id)?;
        }
        // An id of the engine's is ordered: a random one costs the index dear.
        let id = id.unwrap_or_else(|| uuid::Uuid::now_v7().to_string().into());
        let run = self.numbers.next().await?;
        let ending = self.endings.of(run);
        let (accepted, answer) = oneshot::channel();
        let (asked, sent) = (Arc::clone(&id), Arc::clone(&args));
        let new = NewRun { run, workflow: W::NAME, id: asked, args: sent, meta, accepted };
        let answer = match self.starts.start(new) {
            Ok(()) => answer.await,
            Err(error) => {
                self.endings.forget(run);
                return Err(error);
            }
        };
        if !matches!(answer, Ok(Ok(Accepted::Started))) {
            self.endings.forget(run);
        }
        let answer = answer.map_err(|_| {
            let message = format!(
                "the runtime stopped before it was known whether run {id} was accepted: start it \
                 again under the same id"
            );
            Error::new(ErrorKind::ShutDown, message)
        })?;
        match answer? {
            Accepted::Started => Ok(handle_of::<W>(self, id, Some((run, ending)))),
            Accepted::Taken(_) => {
                self.attach::<W>(&id, &args).await?;
                Ok(handle_of::<W>(self, id, None))
            }
        }
    }

    /// Whether the run that has the id is the one that was meant.
    async fn attach<W: Workflow>(&self, id: &str, args: &str) -> Result<(), Error> {
        let Some(record) = self.store.find(id).await? else { return Ok(()) };
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

/// Longest shown arguments, in bytes.
const SHOWN: usize = 200;

fn check_id(id: &str) -> Result<(), Error> {
    let found = id.len();
    let fault = if found == 0 || found > MAX_ID {
        format!("a workflow id has 1 to {MAX_ID} bytes, and this one has {found}")
    } else if id.contains('\0') {
        "a workflow id has no NUL character".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Unstorable, fault))
}
