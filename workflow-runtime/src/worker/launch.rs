//! Runs attempts of steps on tokio, in chunks: one task polls a chunk of bodies
//! once, and only those that are pending get a task of their own.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::Handle;
use tracing::Instrument as _;

use super::Shared;
use super::lane::Lane;
use super::lease::Lease;
use super::message::{Message, Ticket};
use super::slots::{StepSlots, Waiting};
use super::underway::Running;
use crate::clock::{pause, within};
use crate::error::{Failure, FailureKind};
use crate::inbox::Inbox;
use crate::model::{CallId, Limits, RunId, StepDefinition, StepFuture, StepRun};
use crate::panics;
use crate::state::State;
use crate::step::{StepContext, scope};

/// Bodies that one task polls.
const CHUNK: usize = 32;

/// An attempt to be made.
pub(super) struct Launch {
    pub(super) ticket: Ticket,
    pub(super) definition: &'static StepDefinition,
    pub(super) args: Arc<str>,
    pub(super) timeout: Option<Duration>,
    pub(super) context: StepContext,
}

#[derive(Clone)]
pub(super) struct Launcher {
    tokio: Handle,
    state: Arc<State>,
    limits: Limits,
    slots: Arc<StepSlots>,
    /// Where the outcomes go.
    inbox: Arc<Inbox<Message>>,
    lane: Arc<Lane>,
    lease: Arc<Lease>,
    /// Where launches wait for somebody who begins them.
    #[cfg(feature = "testing")]
    pub(super) held: Option<Arc<Inbox<Launch>>>,
}

impl Launcher {
    pub(super) fn new(tokio: Handle, shared: &Shared, thread: usize) -> Self {
        let inbox = Arc::clone(&shared.threads[thread]);
        let (state, limits) = (Arc::clone(&shared.parts.state), shared.parts.settings.limits);
        let (slots, lane) = (Arc::clone(&shared.step_slots), Arc::clone(&shared.lanes[thread]));
        Self {
            tokio,
            state,
            limits,
            slots,
            inbox,
            lane,
            lease: Arc::clone(&shared.parts.lease),
            #[cfg(feature = "testing")]
            held: None,
        }
    }

    /// Makes the attempts as slots are free; empties `launches`.
    pub(super) fn launch(&self, launches: &mut Vec<Launch>) {
        if launches.is_empty() {
            return;
        }
        let next = self.slots.admit(self, launches);
        self.spawn(launches);
        Self::spawn_each(next);
    }

    /// Attempts that waited for a slot, each by its own thread's launcher.
    pub(super) fn spawn_each(next: Vec<Waiting>) {
        for (launcher, launch) in next {
            launcher.spawn(&mut vec![launch]);
        }
    }

    fn spawn(&self, launches: &mut Vec<Launch>) {
        #[cfg(feature = "testing")]
        if let Some(held) = &self.held {
            held.push_all(launches);
            return;
        }
        while !launches.is_empty() {
            let chunk: Vec<Launch> = launches.drain(..launches.len().min(CHUNK)).collect();
            let launcher = self.clone();
            self.tokio.spawn(async move { launcher.poll_once(chunk) });
        }
    }

    fn poll_once(self, chunk: Vec<Launch>) {
        if !self.lease.holds() {
            // It may be another worker's by now. Sent again when it is known.
            let _slots = SlotGuard { launcher: &self, count: chunk.len() };
            self.lane.state().launches.extend(chunk);
            return;
        }
        let mut messages = Vec::with_capacity(chunk.len());
        let mut cx = Context::from_waker(Waker::noop());
        let mut slots = SlotGuard { launcher: &self, count: 0 };
        let underway = &self.lane.underway;
        for launch in chunk {
            slots.count += 1;
            let (ticket, call) = (launch.ticket, launch.context.call);
            let (number, cancel) = (launch.context.attempt, Arc::clone(&launch.context.cancel));
            // The worker has stopped, and the step runs in the next life; or nobody
            // waits for it any more.
            if self.inbox.is_closed() || cancel.is_fired() {
                continue;
            }
            let (state, limits) = (Arc::clone(&self.state), self.limits);
            let body = move |launch: &Launch| (launch.definition.run)(&state, &launch.args, limits);
            let mut running = Box::pin(attempt(launch, body, limits));
            match running.as_mut().poll(&mut cx) {
                Poll::Ready(run) => messages.extend(self.lane.ended(ticket, call, number, run)),
                Poll::Pending => {
                    // It takes its slot along.
                    slots.count -= 1;
                    let finish = self.clone().finish(ticket, call, number, running);
                    let task = tokio::spawn(finish).abort_handle();
                    if !underway.has_task(ticket.run, call, number, &task) {
                        self.stopper().stop_running(Running { cancel, task: Some(task) });
                    }
                }
            }
        }
        // A thread that is gone: the steps run again in the next life.
        let _gone = self.inbox.push_all(&mut messages);
    }

    async fn finish(
        self,
        ticket: Ticket,
        call: CallId,
        number: u32,
        running: Pin<Box<impl Future<Output = StepRun> + Send>>,
    ) {
        // Given back also when the task is aborted.
        let _slot = SlotGuard { launcher: &self, count: 1 };
        let run = running.await;
        if let Some(ended) = self.lane.ended(ticket, call, number, run) {
            // A thread that is gone: the step runs again in the next life.
            let _gone = self.inbox.push(ended);
        }
    }

    pub(super) fn stopper(&self) -> Stopper {
        let (slots, lane) = (Arc::clone(&self.slots), Arc::clone(&self.lane));
        Stopper { tokio: self.tokio.clone(), slots, lane }
    }
}

/// Slots that are given back, to attempts that wait for one.
struct SlotGuard<'a> {
    launcher: &'a Launcher,
    count: usize,
}

impl Drop for SlotGuard<'_> {
    fn drop(&mut self) {
        if self.count > 0 {
            Launcher::spawn_each(self.launcher.slots.give_back(self.count));
        }
    }
}

/// Stops attempts that nobody waits for any more.
#[derive(Clone)]
pub(super) struct Stopper {
    tokio: Handle,
    slots: Arc<StepSlots>,
    lane: Arc<Lane>,
}

/// How long a step that asked for `step::cancelled` may go on after it.
const CANCEL_GRACE: Duration = Duration::from_secs(10);

impl Stopper {
    /// Stops attempts. None of them begins in the slot of another.
    pub(super) fn stop(&self, run: RunId, calls: &[CallId]) {
        let mut running = Vec::new();
        for call in calls {
            if let Some(one) = self.lane.underway.forget(run, *call) {
                self.slots.forget(run, Some(*call));
                running.push(one);
            }
        }
        running.into_iter().for_each(|running| self.stop_running(running));
    }

    /// Stops all attempts of a run.
    pub(super) fn stop_run(&self, run: RunId) {
        let running = self.lane.underway.forget_run(run);
        if !running.is_empty() {
            self.slots.forget(run, None);
        }
        running.into_iter().for_each(|running| self.stop_running(running));
    }

    fn stop_running(&self, running: Running) {
        let Running { cancel, task } = running;
        cancel.fire();
        match task {
            Some(task) if cancel.is_watched() && !task.is_finished() => {
                self.tokio.spawn(async move {
                    pause(CANCEL_GRACE).await;
                    task.abort();
                });
            }
            Some(task) => task.abort(),
            // If it has begun, its task is stopped as soon as it has one.
            None => {}
        }
    }
}

/// One attempt: whatever happens in it is a result, a panic too.
pub(super) async fn attempt(
    launch: Launch,
    body: impl FnOnce(&Launch) -> Result<StepFuture, Failure>,
    limits: Limits,
) -> StepRun {
    let definition = launch.definition;
    let span = tracing::info_span!(
        "step",
        name = definition.named.name,
        id = %launch.context.workflow_id,
        attempt = launch.context.attempt
    );
    let failure = match caught(run(launch, body).instrument(span)).await {
        Ok(Ok(run)) => return run,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let message = format!("step `{}` {panic}", definition.named.name);
            Failure::of_kind(FailureKind::Panicked, message)
        }
    };
    failed(definition, &failure, limits)
}

/// An attempt that gave no value of its own.
pub(super) fn failed(definition: &StepDefinition, failure: &Failure, limits: Limits) -> StepRun {
    // The user's `From<Failure>` and retry predicate are asked: they may panic.
    let recorded = panics::catch(|| (definition.fail)(failure.clone(), limits));
    recorded.unwrap_or_else(|_| StepRun::without_value(failure))
}

/// The body in its scope and within its time.
async fn run(
    launch: Launch,
    body: impl FnOnce(&Launch) -> Result<StepFuture, Failure>,
) -> Result<StepRun, Failure> {
    let body = body(&launch)?;
    let Launch { definition, timeout, context, .. } = launch;
    bounded(timeout, scope(context, body)).await.ok_or_else(|| {
        let (name, timeout) = (definition.named.name, timeout.unwrap_or_default());
        let message = format!("step `{name}` was stopped after its timeout of {timeout:?}");
        Failure::of_kind(FailureKind::TimedOut, message)
    })
}

async fn bounded<T>(timeout: Option<Duration>, body: impl Future<Output = T>) -> Option<T> {
    match timeout {
        None => Some(body.await),
        Some(timeout) => within(timeout, body).await,
    }
}

/// Polls a future; a panic is a value, and so is one of its `Drop`.
async fn caught<F: Future>(body: F) -> Result<F::Output, panics::Panic> {
    let mut body = pin!(Some(body));
    poll_fn(|cx| {
        let Some(running) = body.as_mut().as_pin_mut() else { return Poll::Pending };
        match panics::catch(|| running.poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => {
                // Its locals are dropped already; a second panic says no more.
                let _second = panics::catch(|| body.set(None));
                Poll::Ready(Err(panic))
            }
        }
    })
    .await
}
