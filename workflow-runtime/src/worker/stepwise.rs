//! A worker that does nothing by itself: whoever has it says what happens next.
//! For tests that decide the order of everything.

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;

use super::claim::Claimer;
use super::launch::{Launch, Launcher, attempt};
use super::message::{Message, Ticket};
use super::thread::WorkflowThread;
use super::{Parts, Shared, commits, spawn};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Failure};
use crate::inbox::Inbox;
use crate::model::{CallId, RunId, StepDefinition, StepFuture, StepRun};
use crate::step::{Cancel, key_of};
use crate::store::Starts;

/// How long a turn may take, in real time.
const TURN: Duration = Duration::from_secs(10);

pub(crate) struct Stepwise {
    shared: Arc<Shared>,
    held: Arc<Inbox<Launch>>,
    /// Asks the workflow thread for a round.
    ask: Option<mpsc::Sender<()>>,
    told: mpsc::Receiver<Option<Timestamp>>,
    thread: Option<JoinHandle<()>>,
    alarm: Option<Timestamp>,
}

impl Stepwise {
    /// Its workflow thread is fresh, as in every life of a process.
    pub(crate) fn start(parts: Parts, chance: ChaCha8Rng) -> Result<Self, Error> {
        crate::panics::install();
        let tokio = tokio::runtime::Handle::try_current().map_err(|error| {
            Error::because(ErrorKind::Configuration, "there is no tokio runtime", error)
        })?;
        let shared = Arc::new(Shared::new(parts));
        let held = Arc::new(Inbox::new());
        let mut launcher = Launcher::new(tokio, &shared, 0);
        launcher.held = Some(Arc::clone(&held));
        let (ask, asked) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let of = Arc::clone(&shared);
        let run = move || {
            let mut thread = WorkflowThread::new(of, 0, launcher);
            thread.chance = chance;
            while asked.recv().is_ok() && tell.send(thread.once()).is_ok() {}
        };
        #[cfg(feature = "sanitize")]
        let run = workflow_sanitize::inherited(run);
        let thread = Some(spawn("workflow-0".to_owned(), run)?);
        Ok(Self { shared, held, ask: Some(ask), told, thread, alarm: None })
    }

    pub(crate) fn starts(&self) -> Arc<dyn Starts> {
        Arc::clone(&self.shared) as Arc<dyn Starts>
    }

    /// Commits what runs want written, for as long as the worker works.
    pub(crate) fn commits(&self) -> impl Future<Output = ()> + use<> {
        let shared = Arc::clone(&self.shared);
        async move { commits(&shared).await }
    }

    /// Claims what is due, for as long as the worker works.
    pub(crate) fn claims(&self) -> impl Future<Output = ()> + use<> {
        Claimer::new(Arc::clone(&self.shared)).run()
    }

    pub(crate) fn has_messages(&self) -> bool {
        !self.shared.threads[0].is_empty()
    }

    /// When there is something to do without a message.
    pub(crate) fn alarm(&self) -> Option<Timestamp> {
        self.alarm
    }

    /// Runs the turns of all messages and of what is due; waits for them.
    ///
    /// # Errors
    ///
    /// A turn does not return.
    pub(crate) fn round(&mut self) -> Result<(), Error> {
        let asked = self.ask.as_ref().is_some_and(|ask| ask.send(()).is_ok());
        match self.told.recv_timeout(TURN) {
            Ok(alarm) if asked => {
                self.alarm = alarm;
                Ok(())
            }
            _ => {
                // It cannot be waited for.
                self.thread = None;
                let message = format!(
                    "a workflow computed for {TURN:?} between two awaits: it does not return from \
                     its turn"
                );
                Err(Error::new(ErrorKind::Configuration, message))
            }
        }
    }

    /// How many events the longest history has that is to be replayed now.
    pub(crate) fn to_replay(&self) -> Option<usize> {
        let mut longest = None;
        self.messages(|message| {
            if let Message::Recover(stored) | Message::Reread(stored) = message {
                longest = longest.max(Some(stored.history.len()));
            }
        });
        longest
    }

    /// Replays as a process would that ends in the middle of it: `events` of
    /// each history and no more. Nothing else is of use after it.
    pub(crate) fn replay_up_to(&mut self, events: usize) -> Result<(), Error> {
        self.messages(|message| {
            if let Message::Recover(stored) | Message::Reread(stored) = message {
                stored.history.truncate(events);
                stored.cancels.clear();
            }
        });
        self.round()
    }

    fn messages(&self, mut each: impl FnMut(&mut Message)) {
        let mut messages = Vec::new();
        self.shared.threads[0].take_now(&mut messages);
        messages.iter_mut().for_each(&mut each);
        self.shared.threads[0].push_all(&mut messages);
    }

    /// The attempts that may begin.
    pub(crate) fn launched(&self) -> Vec<Attempt> {
        let mut launches = Vec::new();
        self.held.take_now(&mut launches);
        launches.into_iter().map(Attempt).collect()
    }

    /// The outcome goes to the workflow thread, for its next round.
    pub(crate) fn deliver(&self, ended: Ended) {
        let Ended { ticket, call, number, run } = ended;
        if let Some(ended) = self.shared.lanes[0].ended(ticket, call, number, run) {
            // A thread that is gone needs no outcome.
            let _gone = self.shared.threads[0].push(ended);
        }
    }

    /// An attempt is over, or is dropped: the next one may have its slot.
    pub(crate) fn leave_slot(&self) {
        Launcher::spawn_each(self.shared.step_slots.give_back(1));
    }
}

impl Drop for Stepwise {
    /// As a crash: what is in memory is gone.
    fn drop(&mut self) {
        self.shared.close_threads();
        self.shared.close_engine();
        self.ask = None;
        // It is in no turn: it ends at once.
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a workflow thread panicked");
        }
    }
}

/// An attempt that has not begun.
pub(crate) struct Attempt(Launch);

/// How an attempt ended.
pub(crate) struct Ended {
    ticket: Ticket,
    call: CallId,
    number: u32,
    run: StepRun,
}

impl Ended {
    pub(crate) fn text(&self) -> &str {
        &self.run.outcome.text
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.run.failed.is_some()
    }
}

impl Attempt {
    pub(crate) fn definition(&self) -> &'static StepDefinition {
        self.0.definition
    }

    pub(crate) fn run(&self) -> RunId {
        self.0.ticket.run
    }

    pub(crate) fn workflow_id(&self) -> &Arc<str> {
        &self.0.context.workflow_id
    }

    pub(crate) fn call(&self) -> CallId {
        self.0.context.call
    }

    pub(crate) fn number(&self) -> u32 {
        self.0.context.attempt
    }

    pub(crate) fn args(&self) -> &Arc<str> {
        &self.0.args
    }

    pub(crate) fn key(&self) -> String {
        key_of(&self.0.context)
    }

    pub(crate) fn cancel(&self) -> Arc<Cancel> {
        Arc::clone(&self.0.context.cancel)
    }

    /// Begins it with that body.
    pub(crate) fn begin(
        self,
        limits: crate::model::Limits,
        body: impl FnOnce(&str) -> Result<StepFuture, Failure> + Send + 'static,
    ) -> impl Future<Output = Ended> + Send {
        let (ticket, call, number) = (self.0.ticket, self.call(), self.number());
        async move {
            let run = attempt(self.0, |launch| body(&launch.args), limits).await;
            Ended { ticket, call, number, run }
        }
    }
}
