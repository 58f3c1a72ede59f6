//! [`Sim`]: what a test holds.

use std::sync::Arc;
use std::time::Duration;

use super::calls::StepCall;
use super::external::External;
use super::golden::Recorded;
use super::mock::{Answers, Spy, StepFault};
use super::plan::Fault;
use super::world::{Asked, Place, World};
use crate::call::{Call, Definer, Definition, Outcome, Step, Workflow};
use crate::client::{Client, HandleOf};
use crate::clock::{Timestamp, pause};

/// The world of one test: a worker in virtual time, and what is known of it.
/// Cheap to clone.
///
/// ```
/// use std::time::Duration;
/// use workflow_runtime::testing::Sim;
/// use workflow_runtime::{Result, step, workflow};
///
/// #[step]
/// async fn charge(cents: u64) -> Result<String> {
///     Ok(format!("charged {cents}"))
/// }
///
/// #[workflow]
/// async fn free_trial(cents: u64) -> Result<String> {
///     workflow::sleep(Duration::from_secs(30 * 86_400)).await;
///     charge(cents).await
/// }
///
/// #[workflow_runtime::test]
/// async fn charges_after_thirty_days(sim: Sim) {
///     sim.mock(charge, |cents| Ok(format!("mocked {cents}")));
///     let run = sim.start(free_trial(500)).await;
///     assert_eq!(run.result().await.unwrap(), "mocked 500");
///     assert_eq!(sim.calls(charge).len(), 1);
/// }
/// ```
#[derive(Clone)]
pub struct Sim {
    pub(super) world: Arc<World>,
    pub(super) client: Client,
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sim at {}", self.now())
    }
}

/// Where [`Sim::crash_at`] ends the process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Point {
    place: Place,
    step: Option<&'static str>,
    commit: Option<u64>,
}

impl Point {
    /// When the next attempt of that step has begun and done nothing yet.
    pub fn before_effect<F, A, D>(step: F) -> Self
    where
        F: Definer<A, Definition = D>,
        D: Step,
    {
        let _named_by_value = step;
        Self { place: Place::BeforeEffect, step: Some(D::NAME), commit: None }
    }

    /// When the next attempt of that step has its result, and nobody else knows
    /// it.
    pub fn after_effect<F, A, D>(step: F) -> Self
    where
        F: Definer<A, Definition = D>,
        D: Step,
    {
        let _named_by_value = step;
        Self { place: Place::AfterEffect, step: Some(D::NAME), commit: None }
    }

    /// When the commit of that number, from 1, is about to be made.
    #[must_use]
    pub fn before_commit(number: u64) -> Self {
        Self { place: Place::BeforeCommit, step: None, commit: Some(number) }
    }

    /// When the commit of that number, from 1, is made and nobody knows yet.
    #[must_use]
    pub fn after_commit(number: u64) -> Self {
        Self { place: Place::AfterCommit, step: None, commit: Some(number) }
    }
}

impl Sim {
    /// Starts a run; its handle outlives crashes. A call without an id gets one
    /// that can be read: `checkout-1`.
    ///
    /// # Panics
    ///
    /// The start is refused: its id belongs to another run, its arguments
    /// cannot be stored.
    pub async fn start<W>(&self, call: Call<W>) -> HandleOf<W>
    where
        W: Workflow,
        W::Return: Outcome,
    {
        let id = || {
            let mut state = self.world.state();
            let number = state.numbers.entry(W::NAME).or_default();
            *number += 1;
            format!("{}-{number}", W::NAME)
        };
        match self.client.inner.start_until_known(call, id).await {
            Ok(handle) => handle,
            Err(error) => refuse(&format!("`{}` is not started: {error}", W::NAME)),
        }
    }

    /// The run of `workflow` that has that id.
    pub fn handle<F, A, W>(&self, workflow: F, id: impl Into<String>) -> HandleOf<W>
    where
        F: Definer<A, Definition = W>,
        W: Workflow,
        W::Return: Outcome,
    {
        self.client.handle(workflow, id)
    }

    /// What lists runs and directs them.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// `answer` answers in place of the step, from now on. Its argument is what
    /// the step takes: `|()|`, `|cents|`, `|(cents, card)|`.
    pub fn mock<F, A, D>(&self, step: F, answer: impl FnMut(D::Args) -> D::Return + Send + 'static)
    where
        F: Definer<A, Definition = D>,
        D: Step,
    {
        let _named_by_value = step;
        let answers = Arc::new(Answers::<D, _>::new(answer));
        self.world.state().mocks.insert(D::NAME, answers);
    }

    /// What befalls attempts of the step before its mock or its body answers:
    /// `sim.fault(charge).fails(2)`.
    pub fn fault<F, A, D>(&self, step: F) -> StepFault<'_>
    where
        F: Definer<A, Definition = D>,
        D: Step,
    {
        let _named_by_value = step;
        StepFault::new(self, D::NAME)
    }

    /// The step answers itself, also if it was mocked before; what it is called
    /// with can be asked.
    pub fn spy<F, A, D>(&self, step: F) -> Spy<D>
    where
        F: Definer<A, Definition = D>,
        D: Step,
    {
        let _named_by_value = step;
        self.world.state().mocks.remove(D::NAME);
        Spy::new(self.clone())
    }

    /// The attempts of the step so far, oldest first.
    pub fn calls<F, A, D>(&self, step: F) -> Vec<StepCall<D::Args>>
    where
        F: Definer<A, Definition = D>,
        D: Step,
    {
        let _named_by_value = step;
        self.calls_of::<D>()
    }

    pub(super) fn calls_of<D: Definition>(&self) -> Vec<StepCall<D::Args>> {
        let state = self.world.state();
        let calls = state.calls.iter().filter(|call| call.step == D::NAME);
        let read = |call: &super::calls::CallRecord| {
            Some(StepCall {
                args: D::args().decode(&call.args).ok()?,
                attempt: call.attempt,
                idempotency_key: call.key.clone(),
                workflow_id: call.workflow_id.to_string(),
                at: call.at,
                life: call.life,
            })
        };
        calls.filter_map(read).collect()
    }

    /// State for steps, as the builder's `state` gives it to a runtime.
    pub fn state<T: Send + Sync + 'static>(&self, value: T) {
        self.shared_state(Arc::new(value));
    }

    /// State for steps that the test keeps, too.
    pub fn shared_state<T: ?Sized + Send + Sync + 'static>(&self, value: Arc<T>) {
        self.world.state().state.insert(value);
    }

    /// The time of the test.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.world.now()
    }

    /// Lets that much time pass; what is due meanwhile happens, in order.
    pub async fn advance(&self, time: Duration) {
        pause(time).await;
    }

    /// Waits until nothing can happen before time passes.
    pub async fn settle(&self) {
        // The shortest time there is: it passes only when nothing can happen.
        pause(Duration::from_millis(1)).await;
    }

    /// The process ends now, and another one goes on from the store: what was
    /// not committed is gone. It happens before anything else does.
    pub fn crash(&self) {
        self.world.note("CRASH asked for by the test");
        self.world.state().crash = true;
        self.world.wake();
    }

    /// The process ends when it comes there; once.
    pub fn crash_at(&self, point: Point) {
        let Point { place, step, commit } = point;
        self.world.state().asked.push(Asked { place, step, commit, fault: Fault::Crash });
    }

    /// Another process takes over, and this one does not know it: what it still
    /// does must not count.
    pub fn second_worker(&self) {
        self.world.note("ANOTHER PROCESS takes over: asked for by the test");
        self.world.state().second = true;
        self.world.wake();
    }

    /// The store does not take the commit of that number, from 1.
    pub fn fail_commit(&self, number: u64) {
        self.ask(Place::BeforeCommit, number, Fault::CommitError);
    }

    /// The store takes the commit of that number, and its answer is lost.
    pub fn lose_reply(&self, number: u64) {
        self.ask(Place::AfterCommit, number, Fault::ReplyLost);
    }

    /// The commit of that number takes five seconds.
    pub fn slow_commit(&self, number: u64) {
        self.ask(Place::BeforeCommit, number, Fault::SlowCommit);
    }

    fn ask(&self, place: Place, commit: u64, fault: Fault) {
        let asked = Asked { place, step: None, commit: Some(commit), fault };
        self.world.state().asked.push(asked);
    }

    /// A fake of what steps talk to, which acts once for each key.
    #[must_use]
    pub fn external<T: Default>(&self) -> External<T> {
        External::default()
    }

    /// The history of the run of that id, as it is now.
    ///
    /// # Panics
    ///
    /// There is no such run.
    pub async fn recorded(&self, id: &str) -> Recorded {
        let store = &self.client.inner.store;
        let found = store.find(id).await.ok().flatten();
        let Some(run) = found.map(|record| record.run) else {
            refuse(&format!("there is no run `{id}`"))
        };
        let stored = store.load(&[run]).await.unwrap_or_default().pop();
        let stored = stored.and_then(|(_, stored)| stored.ok());
        let recorded = stored.ok_or_else(|| "its rows cannot be read".to_owned());
        let recorded = recorded.and_then(Recorded::of);
        recorded.unwrap_or_else(|error| refuse(&format!("run `{id}`: {error}")))
    }

    /// Runs may be blocked at the end of this test.
    pub fn allow_blocked(&self) {
        self.world.state().may_block = true;
    }

    /// What happened so far, a line each.
    #[must_use]
    pub fn timeline(&self) -> String {
        self.world.timeline()
    }
}

#[expect(clippy::panic, reason = "a test fails by a panic")]
fn refuse(message: &str) -> ! {
    panic!("{message}");
}
