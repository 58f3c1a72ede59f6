//! Runs workflows: threads for their code, tokio for their steps, and threads of
//! the engine's own for commits and claims.

mod answers;
mod attempts;
mod begin;
mod claim;
mod lane;
mod launch;
mod lease;
mod mail;
mod message;
mod pace;
mod retention;
mod run;
mod slots;
#[cfg(feature = "testing")]
mod stepwise;
#[cfg(test)]
mod tests;
mod thread;
mod underway;
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::clock::{Clock, within};
use crate::error::{Error, ErrorKind};
use crate::inbox::Inbox;
use crate::model::{Limits, RunId, WriterId};
use crate::registry::Registry;
use crate::state::State;
use crate::store::{Committer, Endings, Envelope, Fleet, NewRun, Starts, Store};
#[cfg(feature = "testing")]
pub(crate) use stepwise::{Attempt, Ended, Stepwise};

pub(crate) use lease::Lease;

use claim::Claimer;
use lane::Lane;
use launch::Launcher;
use message::{Message, Ticket};
use retention::retain;
use slots::{RunSlots, StepSlots};
use thread::WorkflowThread;
use watch::watch;

/// How a worker works.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) threads: usize,
    /// A run that only waits leaves memory after so long.
    pub(crate) park_after: Duration,
    pub(crate) limits: Limits,
    /// Most events of a history.
    pub(crate) max_history: u32,
    /// Other arguments of a call that has its result are a mismatch too.
    pub(crate) strict_arguments: bool,
    /// Most messages that wait for one run.
    pub(crate) max_mailbox: u32,
    /// Most runs in hand at one time.
    pub(crate) max_runs: usize,
    /// Most attempts of steps at one time.
    pub(crate) max_steps: usize,
    /// A run that was claimed so often without getting further is dead.
    pub(crate) max_claims: u32,
    /// A suspect that lived so long did no harm.
    pub(crate) probation: Duration,
    /// A turn that takes longer does not return.
    pub(crate) turn_limit: Duration,
    /// Completed runs are kept so long. None: for ever.
    pub(crate) keep_completed: Option<Duration>,
    pub(crate) build: Arc<str>,
    /// No other process has the store: nothing has to be looked for.
    pub(crate) exclusive: bool,
}

/// What the parts of a worker share.
pub(crate) struct Shared {
    parts: Parts,
    /// Other workers of the store.
    fleet: Option<Arc<dyn Fleet>>,
    threads: Vec<Arc<Inbox<Message>>>,
    lanes: Vec<Arc<Lane>>,
    /// Threads that took the place of others.
    replacements: Mutex<Vec<JoinHandle<()>>>,
    items: Arc<Inbox<Envelope<Ticket>>>,
    /// There may be something to claim.
    claim: Arc<Notify>,
    /// Runs to be read again.
    reload: Arc<Inbox<RunId>>,
    run_slots: RunSlots,
    step_slots: Arc<StepSlots>,
    stop: Arc<AtomicBool>,
    /// Told when `stop` is set.
    stopping: Notify,
}

/// A worker at work.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    engine: Vec<JoinHandle<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// What a worker is made of.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) endings: Arc<Endings>,
    pub(crate) registry: Registry,
    pub(crate) state: Arc<State>,
    pub(crate) settings: Settings,
    pub(crate) writer: WriterId,
    pub(crate) lease: Arc<Lease>,
}

impl Worker {
    /// Starts the threads. Steps run on that tokio runtime.
    pub(crate) fn start(parts: Parts, tokio: &tokio::runtime::Handle) -> Result<Self, Error> {
        crate::panics::install();
        let shared = Arc::new(Shared::new(parts));
        // Dropped on an error, it ends the threads that were started.
        let mut worker = Self { shared, engine: Vec::new(), threads: Vec::new() };
        for index in 0..worker.shared.threads.len() {
            let shared = Arc::clone(&worker.shared);
            let launcher = Launcher::new(tokio.clone(), &shared, index);
            // Made where it stays: the futures of workflows never move.
            let run = move || WorkflowThread::new(shared, index, launcher).run();
            worker.threads.push(spawn(format!("workflow-{index}"), run)?);
        }
        let shared = Arc::clone(&worker.shared);
        let commits = move || engine(commits(&shared));
        worker.engine.push(spawn("workflow-commits".to_owned(), commits)?);
        let shared = Arc::clone(&worker.shared);
        let tokio = tokio.clone();
        let claims = move || {
            let claims = Claimer::new(Arc::clone(&shared)).run();
            let (watch, retain) = (watch(Arc::clone(&shared), tokio), retain(shared));
            engine(async { tokio::join!(claims, watch, retain) });
        };
        worker.engine.push(spawn("workflow-claims".to_owned(), claims)?);
        Ok(worker)
    }

    /// It is known to live again, after it was not for a while.
    pub(crate) fn renewed(&self) {
        for inbox in &self.shared.threads {
            // A thread that is gone launches nothing.
            let _gone = inbox.push(Message::Renewed);
        }
    }

    pub(crate) fn starts(&self) -> Arc<dyn Starts> {
        Arc::clone(&self.shared) as Arc<dyn Starts>
    }

    /// Takes nothing new, lets running steps end for up to `grace` and records
    /// their results; then stops. Cancels no workflow.
    pub(crate) async fn shut_down(mut self, grace: Duration) {
        let drained = within(grace, self.drain()).await.is_some();
        let threads = std::mem::take(&mut self.threads);
        let (shared, engine) = (Arc::clone(&self.shared), std::mem::take(&mut self.engine));
        let joined = tokio::task::spawn_blocking(move || stop(&shared, threads, engine)).await;
        tell(drained, joined.is_ok());
    }

    /// Starts nothing more; waits until nothing runs and all is written.
    fn drain(&self) -> impl Future<Output = ()> + use<> {
        let mut drained = Vec::with_capacity(self.shared.threads.len());
        for inbox in &self.shared.threads {
            let (told, is_drained) = oneshot::channel();
            if inbox.push(Message::Drain(told)).is_ok() {
                drained.push(is_drained);
            }
        }
        async move {
            for is_drained in drained {
                // A thread that is gone has nothing to drain.
                let _gone = is_drained.await;
            }
        }
    }
}

fn tell(drained: bool, stopped: bool) {
    if !drained {
        tracing::warn!("steps did not end within the grace period and will run again");
    }
    if !stopped {
        tracing::error!("the worker did not stop cleanly");
    }
}

/// Ends the threads: first those that write, then the one that commits.
fn stop(shared: &Shared, threads: Vec<JoinHandle<()>>, engine: Vec<JoinHandle<()>>) {
    shared.close_threads();
    let replacements = std::mem::take(&mut *shared.replacements());
    for thread in threads.into_iter().chain(replacements) {
        join(thread);
    }
    shared.close_engine();
    for thread in engine {
        join(thread);
    }
}

/// How long a thread is waited for: a turn may never return.
const PATIENCE: Duration = Duration::from_secs(5);

#[expect(clippy::disallowed_methods, reason = "a thread ends in real time")]
fn join(thread: JoinHandle<()>) {
    let pause = Duration::from_millis(1);
    let mut left = PATIENCE;
    while !thread.is_finished() {
        if left.is_zero() {
            tracing::error!("a workflow does not return from its turn: its thread is left behind");
            return;
        }
        std::thread::sleep(pause);
        left = left.saturating_sub(pause);
    }
    if thread.join().is_err() {
        tracing::error!("a thread of the worker panicked");
    }
}

impl Drop for Worker {
    /// Without `shut_down`: stops at once, as a crash would; nothing is lost.
    fn drop(&mut self) {
        self.shared.close_threads();
        self.shared.close_engine();
    }
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new().name(name).spawn(body).map_err(|error| {
        Error::because(ErrorKind::Unavailable, "no thread could be started", error)
    })
}

/// A thread of the engine's own: user code cannot hold it up.
fn engine<T>(work: impl Future<Output = T>) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            runtime.block_on(work);
        }
        Err(error) => tracing::error!("the engine cannot run: {error}"),
    }
}

/// Commits what the threads want written, and brings them the answers.
async fn commits(shared: &Shared) {
    let committer = Committer {
        store: Arc::clone(&shared.parts.store),
        inbox: Arc::clone(&shared.items),
        stop: Arc::clone(&shared.stop),
    };
    let inboxes = &shared.threads;
    let answers = committer.run(|answers| {
        let mut by_thread: Vec<Vec<_>> = inboxes.iter().map(|_| Vec::new()).collect();
        for reply in answers {
            if let Some(list) = by_thread.get_mut(reply.from.thread) {
                list.push(reply);
            }
        }
        for ((inbox, lane), answers) in inboxes.iter().zip(&shared.lanes).zip(by_thread) {
            if !answers.is_empty() {
                let answered = answers.len();
                // A thread that is gone needs no answer.
                let _gone = inbox.push(Message::Answers(answers));
                lane.answered(answered);
            }
        }
    });
    answers.await;
}

impl Shared {
    fn new(parts: Parts) -> Self {
        let inboxes = 0..parts.settings.threads.max(1);
        let claim = Arc::new(Notify::new());
        let run_slots = RunSlots::new(parts.settings.max_runs.max(1), Arc::clone(&claim));
        let step_slots = Arc::new(StepSlots::new(parts.settings.max_steps));
        Self {
            fleet: parts.store.fleet(),
            parts,
            run_slots,
            step_slots,
            stopping: Notify::new(),
            lanes: inboxes.clone().map(|_| Arc::default()).collect(),
            threads: inboxes.map(|_| Arc::new(Inbox::new())).collect(),
            replacements: Mutex::default(),
            items: Arc::new(Inbox::new()),
            claim,
            reload: Arc::new(Inbox::new()),
            stop: Arc::new(AtomicBool::new(false)),
        }
    }

    fn close_threads(&self) {
        self.step_slots.close();
        for inbox in &self.threads {
            inbox.close();
        }
    }

    fn close_engine(&self) {
        self.stop.store(true, Ordering::Release);
        self.items.close();
        self.reload.close();
        self.claim.notify_one();
        self.stopping.notify_waiters();
    }

    /// Waits, but not for longer than the worker works.
    async fn pause(&self, time: Duration) {
        let stopped = async {
            loop {
                let told = self.stopping.notified();
                // `notify_waiters` reaches whoever made the future before it.
                if self.stop.load(Ordering::Acquire) {
                    return;
                }
                told.await;
            }
        };
        let _either = within(time, stopped).await;
    }

    /// The lane that runs a run.
    fn lane_of(&self, run: RunId) -> usize {
        usize::try_from(run.0.rem_euclid(i64::MAX)).unwrap_or(0) % self.threads.len()
    }

    /// The thread that runs a run.
    fn thread_of(&self, run: RunId) -> Option<&Arc<Inbox<Message>>> {
        self.threads.get(self.lane_of(run))
    }

    fn replacements(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.replacements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Starts for Shared {
    fn nudge(&self) {
        self.claim.notify_one();
    }

    fn close(&self) {
        // The runtime that owns the worker shuts it down.
    }

    fn start(&self, new: NewRun) -> Result<(), Error> {
        let closed = || Error::new(ErrorKind::ShutDown, "the runtime was shut down");
        let inbox = self.thread_of(new.run).ok_or_else(closed)?;
        inbox.push(Message::Start(Box::new(new))).map_err(|_| closed())
    }
}
