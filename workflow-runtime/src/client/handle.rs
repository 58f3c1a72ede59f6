//! One run, seen from outside.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::outcome::RunResult;
use super::{Asking, Commanding, ErrOf, Export, Inner, OkOf, Sending, Watch};
use crate::call::{Outcome, Workflow};
use crate::error::{Error, ErrorKind, Failure};
use crate::message::{Request, Signal};
use crate::model::{
    Blocked, CommandKind, End, Ended, Event, History, HistoryEvent, Named, RunId, RunRecord,
    Status, read_meta,
};
use crate::store::Ending;

/// A run, by its id. Typed by what it returns, as `Result` is:
/// `Handle<Receipt>`, `Handle<Receipt, ShopError>`.
///
/// Dropping it changes nothing: the run goes on.
pub struct Handle<T, E = Failure> {
    client: Arc<Inner>,
    id: Arc<str>,
    named: &'static Named,
    /// Where its end will be told, if it was started here.
    ending: Option<(RunId, Arc<Ending>)>,
    decode: fn(&str) -> Result<Result<T, E>, String>,
    fail: fn(Failure) -> E,
}

impl<T, E> Clone for Handle<T, E> {
    fn clone(&self) -> Self {
        Self {
            client: Arc::clone(&self.client),
            id: Arc::clone(&self.id),
            named: self.named,
            ending: self.ending.clone(),
            decode: self.decode,
            fail: self.fail,
        }
    }
}

impl<T, E> fmt::Debug for Handle<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({} {})", self.named.name, self.id)
    }
}

impl<T, E> Handle<T, E> {
    /// The workflow id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits for the end of the run and gives its result: the declared
    /// `Result` of the workflow, one level.
    ///
    /// It waits through store faults and while the run is blocked;
    /// [`within`](RunResult::within) bounds it.
    ///
    /// # Errors
    ///
    /// The workflow's own error. What the runtime has to say comes through
    /// `From<Failure>`, with a [`kind`](Failure::kind): there is no such run,
    /// it has not ended within the time given or before the runtime was shut
    /// down, its result cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing; the run goes on.
    pub fn result(&self) -> RunResult<'_, T, E> {
        RunResult::new(self)
    }

    /// Where the run stands.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], or the store did not answer.
    pub async fn status(&self) -> Result<Status, Error> {
        Ok(self.record().await?.status())
    }

    /// Why the run is set aside; none if it is not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], or the store did not answer.
    pub async fn blocked(&self) -> Result<Option<Blocked>, Error> {
        let open = self.record().await?.open;
        Ok(open.and_then(|open| open.blocked).map(|report| Blocked::from_json(&report)))
    }

    /// What happened in the run so far.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::Corrupt`], or the store did not
    /// answer.
    pub async fn history(&self) -> Result<History, Error> {
        let record = self.record().await?;
        let events = self.client.store.history(record.run).await?;
        Ok(History {
            workflow: record.workflow.to_string(),
            id: record.id.to_string(),
            started: record.created,
            events: events.iter().map(for_people).collect(),
        })
    }

    /// The history as JSON, as [`replay_tests!`](crate::testing::replay_tests)
    /// reads it: in `tests/histories` it is replayed by every later build.
    ///
    /// ```no_run
    /// # use workflow_runtime::{Result, Runtime, workflow};
    /// # #[workflow] async fn export_me(order: u32) -> Result<u32> { Ok(order) }
    /// # async fn example(client: workflow_runtime::Client) -> Result<()> {
    /// let run = client.handle(export_me, "order-7");
    /// let text = run.export().redact("card*").redact("email").to_text().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn export(&self) -> Export {
        Export { client: Arc::clone(&self.client), id: self.id.clone(), fields: Vec::new() }
    }

    /// What the run was started with by [`Call::meta`](crate::Call::meta).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], or the store did not answer.
    pub async fn meta(&self) -> Result<BTreeMap<String, String>, Error> {
        Ok(read_meta(self.record().await?.meta.as_deref()))
    }

    /// Sends a signal to the run, which takes it when it asks for it with
    /// [`workflow::receive`](crate::workflow::receive).
    ///
    /// ```no_run
    /// # use workflow_runtime::{Handle, Result, signal};
    /// #[signal]
    /// struct Approval {
    ///     by: String,
    /// }
    ///
    /// # async fn example(run: Handle<u32>) -> Result<()> {
    /// run.send(Approval { by: "Ada".to_owned() }).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Guarantees
    ///
    /// Accepted, it is durable, and it is received once: before the run waits for
    /// it, before it has begun, and before it is started, the signal is kept. Signals
    /// of one sender that waits for each are received in their order. After a
    /// restart of the run the next generation gets what was not received.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Ended`]: the run has ended. [`ErrorKind::MailboxFull`]: as many
    /// wait as [`Builder::max_mailbox`](crate::Builder::max_mailbox) lets.
    /// [`ErrorKind::Unstorable`]: it is over the payload limit, or JSON cannot carry
    /// it. [`ErrorKind::Unavailable`]: the store did not answer; sent again under the
    /// same [`message_id`](crate::Sending::message_id) it is there once.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may have been sent.
    pub fn send<S: Signal>(&self, signal: S) -> Sending {
        Sending::new(&self.client, Arc::clone(&self.id), signal)
    }

    /// What the run shows with
    /// [`workflow::set_state`](crate::workflow::set_state), without touching it. None:
    /// nothing yet. It stays readable when the run has ended.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`]: it is of another type. Or the store did not answer.
    pub async fn state<S: serde::de::DeserializeOwned>(&self) -> Result<Option<S>, Error> {
        self.client.shown(&self.id).await.map(|shown| shown.map(|(_, state)| state))
    }

    /// What the run shows, now and each time it says so: see [`Watch::next`].
    #[must_use]
    pub fn watch<S: serde::de::DeserializeOwned>(&self) -> Watch<S> {
        Watch::new(&self.client, &self.id)
    }

    /// Asks something of the run, which answers it with
    /// [`workflow::requested`](crate::workflow::requested), and waits for the reply.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use workflow_runtime::{Handle, Result, request};
    /// #[request(reply = u64)]
    /// struct AddItem {
    ///     name: String,
    /// }
    ///
    /// # async fn example(basket: Handle<u32>) -> Result<()> {
    /// let item = AddItem { name: "tea".to_owned() };
    /// let total = basket.ask(item).within(Duration::from_secs(5)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Guarantees
    ///
    /// As for [`send`](Self::send); it is answered once, also if the run or this
    /// process crashes meanwhile. It waits through faults of the store.
    ///
    /// # Errors
    ///
    /// A failure of kind [`Rejected`](crate::FailureKind::Rejected): the run, or the
    /// validation of the request, said no.
    /// [`Unanswered`](crate::FailureKind::Unanswered): the run ended without an
    /// answer. [`Unfinished`](crate::FailureKind::Unfinished): not within the time
    /// given, or the store did not answer before it was on its way.
    /// [`Undelivered`](crate::FailureKind::Undelivered): the run has ended, or its
    /// mailbox is full. [`Unstorable`](crate::FailureKind::Unstorable).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may have been asked.
    pub fn ask<R: Request>(&self, request: R) -> Asking<R> {
        Asking::new(&self.client, Arc::clone(&self.id), request)
    }

    /// Cancels the run, in whatever state it is: its future is dropped, its
    /// steps are stopped, and it ends as [`Status::Cancelled`]. What is
    /// [shielded](crate::workflow::shielded) ends first; code in
    /// [`cancellable`](crate::workflow::cancellable) decides for itself.
    ///
    /// ```no_run
    /// # use workflow_runtime::{Handle, Result};
    /// # async fn example(run: Handle<u32>) -> Result<()> {
    /// run.cancel().by("ada@example.com").because("ordered twice").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Guarantees
    ///
    /// Accepted, it is durable, and the run does not complete without having
    /// got it. A run that waits, is queued or in back-off gets it at once; a
    /// blocked one when its code can go on. An end that was committed first
    /// wins: [`CommandOutcome::AlreadyEnded`](crate::CommandOutcome).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], or the store did not answer.
    pub fn cancel(&self) -> Commanding {
        self.command(CommandKind::Cancel)
    }

    /// Ends the run now, as [`Status::Cancelled`], without asking its code:
    /// also if it is blocked, or if its code exists no more. Its steps are
    /// stopped as soon as whoever runs it knows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], or the store did not answer.
    pub fn terminate(&self) -> Commanding {
        self.command(CommandKind::Terminate)
    }

    /// Tries a blocked run again with this build; nothing to do if it is not
    /// blocked. A new build tries by itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], or the store did not answer.
    pub fn retry(&self) -> Commanding {
        self.command(CommandKind::Retry)
    }

    fn command(&self, kind: CommandKind) -> Commanding {
        Commanding::new(&self.client, Arc::clone(&self.id), Some(self.named), kind)
    }

    async fn record(&self) -> Result<RunRecord, Error> {
        let found = self.find().await?;
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, self.not_found()))
    }

    pub(super) async fn find(&self) -> Result<Option<RunRecord>, Error> {
        // A run of another workflow under this id is none of ours.
        let found = self.client.store.find(&self.id).await?;
        Ok(found.filter(|record| self.named.is_any_version_of(&record.workflow)))
    }

    pub(super) fn not_found(&self) -> String {
        format!("there is no run `{}` of `{}`", self.id, self.named.name)
    }

    pub(super) fn started_here(&self) -> Option<Arc<Ending>> {
        // What is dead may be redriven: the store knows.
        let is_final = |end: End| end.how != Ended::Dead && end.is_last();
        let told = self.ending.as_ref().filter(|(_, ending)| ending.get().is_none_or(is_final));
        told.map(|(_, ending)| Arc::clone(ending))
    }

    /// Where the end of that run will be told.
    pub(super) fn is_exclusive(&self) -> bool {
        self.client.exclusive
    }

    pub(super) fn ending_of(&self, run: RunId) -> Arc<Ending> {
        self.client.endings.of(run)
    }

    pub(super) fn decode(&self, text: &str) -> Result<Result<T, E>, String> {
        (self.decode)(text)
    }

    pub(super) fn fail(&self, failure: Failure) -> E {
        (self.fail)(failure)
    }
}

/// A handle of the run of `W` that has that id.
pub(crate) fn handle_of<W>(
    client: &Arc<Inner>,
    id: Arc<str>,
    ending: Option<(RunId, Arc<Ending>)>,
) -> Handle<OkOf<W>, ErrOf<W>>
where
    W: Workflow,
    W::Return: Outcome,
{
    Handle {
        client: Arc::clone(client),
        id,
        named: &W::definition().named,
        ending,
        decode: |text| Ok((W::returns().decode)(text)?.into_result()),
        fail: |failure| match (W::returns().fail)(failure).into_result() {
            Err(error) => error,
            Ok(_) => unreachable!("`fail` makes an error"),
        },
    }
}

fn for_people(event: &Event) -> HistoryEvent {
    HistoryEvent {
        seq: event.seq,
        kind: event.kind.as_str().to_owned(),
        name: event.name.to_string(),
        call: event.call.map(|call| call.0),
        payload: event.payload.as_deref().map(str::to_owned),
        decided: event.decided.as_deref().map(str::to_owned),
        at: event.at,
    }
}
