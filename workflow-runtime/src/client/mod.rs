//! Starts runs, reads them, and asks things of them. A client and a worker meet
//! only in the store.

mod ask;
mod command;
mod export;
mod handle;
mod health;
mod inner;
mod list;
mod outcome;
mod send;
mod state;
mod submit;

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

pub use ask::Asking;
pub use command::{CommandOutcome, Commanding};
pub use export::Export;
pub use handle::Handle;
pub(crate) use handle::handle_of;
pub use health::{Health, Trouble};
pub(crate) use inner::Inner;
pub use list::{Filter, Page};
pub use outcome::RunResult;
pub use send::Sending;
pub use state::Watch;
pub(crate) use submit::Submitter;

use crate::call::{Call, Definer, Outcome, Workflow};
use crate::error::{Error, ErrorKind, Failure, FailureKind};
use crate::message::{Request, Signal};
use crate::model::{CommandKind, DeadLetter};

/// The value and the error of a workflow's result.
pub(crate) type OkOf<W> = <<W as crate::call::Definition>::Return as Outcome>::Ok;
pub(crate) type ErrOf<W> = <<W as crate::call::Definition>::Return as Outcome>::Err;

/// The handle of a run of `W`: typed by what `W` returns.
pub(crate) type HandleOf<W> = Handle<OkOf<W>, ErrOf<W>>;

/// A start on its way: see [`Client::start`].
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

/// A run that is started and waited for: see [`Client::run`].
#[must_use = "a run is started when this is awaited"]
pub struct Running<T, E>(Pin<Box<dyn Future<Output = Result<T, E>> + Send>>);

impl<T, E> fmt::Debug for Running<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Running")
    }
}

impl<T, E> Future for Running<T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

/// Starts, reads and directs runs of one store; runs none itself.
///
/// [`Runtime::client`](crate::Runtime::client) gives the one of a runtime. A
/// process that runs no workflows makes one with
/// [`Builder::connect`](crate::Builder::connect): it may open the same SQLite
/// file beside its owner, who notices what it does within 50 ms.
///
/// Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// Most dead letters that are shown at once.
const DEAD_LETTERS: u32 = 1_000;

impl Client {
    /// How the database fares, as this process sees it.
    #[must_use]
    pub fn health(&self) -> Health {
        Health::new(self.inner.pulse.read(), None)
    }

    /// Starts a run and gives its handle as soon as the start is durable.
    ///
    /// The same id, workflow and arguments name the same run: starting it again
    /// gives a handle of the run that is there, also when it has ended. A run
    /// that was deleted frees its id.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`]: the id is taken by another workflow or with
    /// other arguments. [`ErrorKind::Unstorable`]: the arguments or the meta are
    /// too large, or are not read back from JSON as they were.
    /// [`ErrorKind::ShutDown`]. [`ErrorKind::Unavailable`]: the store did not
    /// answer before the run was on its way, or when the holder of a taken id
    /// was read; start it again. A start that is on its way waits for the store.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the run may be started or not; starting it again under the same
    /// id finds out.
    pub fn start<W>(&self, call: Call<W>) -> Starting<OkOf<W>, ErrOf<W>>
    where
        W: Workflow,
        W::Return: Outcome,
    {
        self.inner.start(call)
    }

    /// The run of `workflow` that has that id, whether it exists or not:
    /// `client.handle(checkout, "order-1001")`.
    pub fn handle<F, A, W>(&self, workflow: F, id: impl Into<String>) -> HandleOf<W>
    where
        F: Definer<A, Definition = W>,
        W: Workflow,
        W::Return: Outcome,
    {
        // The function names its type; it is not called.
        drop(workflow);
        handle_of::<W>(&self.inner, id.into().into(), None)
    }

    /// Sends a signal to the run of that id: see [`Handle::send`].
    pub fn send<S: Signal>(&self, id: impl Into<String>, signal: S) -> Sending {
        Sending::new(&self.inner, id.into().into(), signal)
    }

    /// Asks something of the run of that id: see [`Handle::ask`].
    pub fn ask<R: Request>(&self, id: impl Into<String>, request: R) -> Asking<R> {
        Asking::new(&self.inner, id.into().into(), request)
    }

    /// Starts a run and waits for its end: the call of a service whose answer
    /// survives crashes of both.
    ///
    /// ```
    /// # use workflow_runtime::{Result, Runtime, workflow};
    /// # #[workflow] async fn quote(item: String) -> Result<usize> { Ok(item.len()) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// # let runtime = Runtime::builder("memory:").build().await?;
    /// let price = runtime.client().run(quote("tea".to_owned()).id("quote-7")).await?;
    /// assert_eq!(price, 3);
    /// # runtime.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The workflow's own error; what kept it from being started, as a failure of kind
    /// [`FailureKind::Undelivered`](crate::FailureKind::Undelivered).
    ///
    /// # Cancel safety
    ///
    /// Dropped, the run may be started, and goes on; called again under the same id
    /// it is found.
    pub fn run<W>(&self, call: Call<W>) -> Running<OkOf<W>, ErrOf<W>>
    where
        W: Workflow,
        W::Return: Outcome,
        OkOf<W>: Send,
        ErrOf<W>: Send,
    {
        let starting = self.start(call);
        let fail = |failure| match (W::returns().fail)(failure).into_result() {
            Err(error) => error,
            Ok(_) => unreachable!("`fail` makes an error"),
        };
        Running(Box::pin(async move {
            match starting.await {
                Ok(run) => run.result().await,
                Err(error) => {
                    let (kind, message) = (FailureKind::Undelivered, error.to_string());
                    Err(fail(Failure::of_kind(kind, message)))
                }
            }
        }))
    }

    /// Cancels the run of that id: see [`Handle::cancel`].
    pub fn cancel(&self, id: impl Into<String>) -> Commanding {
        Commanding::new(&self.inner, id.into().into(), None, CommandKind::Cancel)
    }

    /// Ends the run of that id at once, also if no code of it exists any more:
    /// see [`Handle::terminate`].
    pub fn terminate(&self, id: impl Into<String>) -> Commanding {
        Commanding::new(&self.inner, id.into().into(), None, CommandKind::Terminate)
    }

    /// Tries the blocked run of that id again: see [`Handle::retry`].
    pub fn retry(&self, id: impl Into<String>) -> Commanding {
        Commanding::new(&self.inner, id.into().into(), None, CommandKind::Retry)
    }

    /// Opens the dead run of that id again: it goes on where it was.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], or the store did not answer.
    pub fn redrive(&self, id: impl Into<String>) -> Commanding {
        Commanding::new(&self.inner, id.into().into(), None, CommandKind::Redrive)
    }

    /// What could not be done and waits for people: runs that brought their
    /// process down too often, which [`redrive`](Self::redrive) opens again, and
    /// signals that were not received before their run ended. Newest first, 1,000
    /// at most.
    ///
    /// # Errors
    ///
    /// The store did not answer.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Error> {
        self.inner.store.dead_letters(None, DEAD_LETTERS).await
    }

    /// Runs that the filter lets through, newest first, a page at a time.
    ///
    /// ```
    /// # use workflow_runtime::{Filter, Result, Runtime, Status, workflow};
    /// # #[workflow] async fn deliver(order: u32) -> Result<u32> { Ok(order) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// # let runtime = Runtime::builder("memory:").build().await?;
    /// let client = runtime.client();
    /// let mut next = Some(Filter::new().status(Status::Failed).workflow(deliver));
    /// while let Some(filter) = next {
    ///     let page = client.list(filter).await?;
    ///     for run in page.runs() {
    ///         println!("{} {}", run.id(), run.status());
    ///     }
    ///     next = page.next();
    /// }
    /// # runtime.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The store did not answer.
    pub async fn list(&self, filter: Filter) -> Result<Page, Error> {
        let runs = self.inner.store.list(filter.query.clone()).await?;
        Ok(Page::new(runs, filter))
    }

    /// Deletes a run that has ended, with its history; its id is free. False:
    /// there was none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`]: it has not ended. Or the store did not answer.
    pub async fn delete(&self, id: &str) -> Result<bool, Error> {
        let Some(record) = self.inner.store.find(id).await? else { return Ok(false) };
        if record.end.is_none() {
            let message = format!("run `{id}` has not ended: cancel or terminate it first");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        Ok(self.inner.store.delete(&[record.run]).await? > 0)
    }

    /// Writes a copy of the whole database, as it is at one moment, to a file
    /// that is not there yet. Workflows go on meanwhile. To restore it, put it
    /// in the place of the database while nothing runs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`]: the file is there, or the store is in
    /// memory. [`ErrorKind::Unavailable`]: it could not be written.
    pub async fn backup(&self, to: impl AsRef<Path>) -> Result<(), Error> {
        self.inner.store.backup(to.as_ref()).await
    }

    /// Closes the files. What was started goes on in whoever runs it.
    ///
    /// The client of a runtime is closed by
    /// [`Runtime::shutdown`](crate::Runtime::shutdown); here it does nothing.
    pub async fn close(&self) {
        if !self.inner.without_worker {
            return;
        }
        self.inner.starts.close();
        self.inner.endings.close();
        self.inner.store.close().await;
    }
}
