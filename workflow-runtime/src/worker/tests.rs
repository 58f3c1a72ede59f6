//! The worker on a store that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::message::Message;
use super::{Lease, Parts, Settings, Worker};
use crate::client::{Client, Inner};
use crate::clock::{Clock, SystemClock, pause, within};
use crate::error::{Error, ErrorKind};
use crate::model::{Limits, RunId, WriterId};
use crate::registry::Registry;
use crate::state::State;
use crate::store::{Counter, Disturbance, Disturbed, Endings, MemoryStore, Numbers, Store, dead};
use crate::{Result, step, workflow};

/// Of three commits one is lost on its way, one loses its answer.
#[derive(Default)]
struct Flaky {
    /// No commit at all until that many were tried.
    down: u64,
    /// The answer to the first claim that finds something is lost too.
    forgets_claim: Arc<AtomicBool>,
}

fn lost() -> Error {
    Error::new(ErrorKind::Unavailable, "the line is dead")
}

impl Disturbance for Flaky {
    fn before_commit(&self, number: u64) -> Result<(), Error> {
        if number <= self.down || number % 3 == 1 { Err(lost()) } else { Ok(()) }
    }

    fn after_commit(&self, number: u64) -> Result<(), Error> {
        if number % 3 == 2 { Err(lost()) } else { Ok(()) }
    }

    fn claimed(&self, runs: Vec<RunId>) -> Result<Vec<RunId>, Error> {
        if !runs.is_empty() && self.forgets_claim.swap(false, Ordering::SeqCst) {
            return Err(lost());
        }
        Ok(runs)
    }
}

static BODIES: AtomicU32 = AtomicU32::new(0);

#[step]
async fn count(number: u32) -> Result<u32> {
    BODIES.fetch_add(1, Ordering::SeqCst);
    Ok(number)
}

#[workflow]
async fn counts(number: u32) -> Result<u32> {
    let first = count(number).await?;
    let (second, third) = tokio::join!(count(number + 1), count(number + 2));
    Ok(first + second? + third?)
}

async fn start(flaky: Flaky) -> (Client, Worker) {
    start_on(Disturbed::around(Arc::new(MemoryStore::default()), flaky), settings(2)).await
}

fn settings(threads: usize) -> Settings {
    Settings {
        threads,
        park_after: Duration::ZERO,
        limits: Limits { payload: 1 << 20 },
        max_history: 1_000,
        strict_arguments: true,
        max_mailbox: 10_000,
        max_runs: 100,
        max_steps: 100,
        max_claims: 5,
        probation: Duration::from_millis(10),
        turn_limit: Duration::from_secs(10),
        keep_completed: None,
        exclusive: false,
        build: "b".into(),
    }
}

async fn start_on(store: Arc<dyn Store>, settings: Settings) -> (Client, Worker) {
    let endings = Arc::new(Endings::default());
    let (limits, clock) = (settings.limits, Arc::new(SystemClock::new()));
    let parts = Parts {
        store: Arc::clone(&store),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        endings: Arc::clone(&endings),
        registry: Registry::new(&[]).unwrap(),
        state: Arc::new(State::default()),
        settings,
        writer: WriterId(store.reserve(Counter::Writers, 1).await.unwrap()),
        lease: Arc::new(Lease::new(None)),
    };
    let worker = Worker::start(parts, &tokio::runtime::Handle::current()).unwrap();
    let (starts, numbers) = (worker.starts(), Numbers::new(Arc::clone(&store)));
    let chance = std::sync::Mutex::new(crate::chance::stream());
    let inner = Inner {
        store,
        pulse: Arc::default(),
        endings,
        starts,
        numbers,
        limits,
        max_mailbox: 10_000,
        clock,
        without_worker: false,
        exclusive: false,
        chance,
    };
    (Client { inner: Arc::new(inner) }, worker)
}

/// Takes no commit after that many, as long as it is shut.
struct Gate {
    after: u64,
    shut: Arc<AtomicBool>,
}

impl Disturbance for Gate {
    fn before_commit(&self, number: u64) -> Result<(), Error> {
        let passes = number <= self.after || !self.shut.load(Ordering::SeqCst);
        if passes { Ok(()) } else { Err(lost()) }
    }

    fn after_commit(&self, _number: u64) -> Result<(), Error> {
        Ok(())
    }
}

/// A memory store whose gate shuts after so many commits.
fn gated(after: u64) -> (Arc<dyn Store>, Arc<AtomicBool>) {
    let shut = Arc::new(AtomicBool::new(true));
    let gate = Gate { after, shut: Arc::clone(&shut) };
    (Disturbed::around(Arc::new(MemoryStore::default()), gate), shut)
}

/// Waits until something is so.
async fn until(is_so: impl Fn() -> bool) {
    let waits = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    within(Duration::from_secs(20), waits).await.expect("it never was");
}

static WAITED: AtomicU32 = AtomicU32::new(0);

#[step]
async fn counts_waited() -> Result<u32> {
    Ok(WAITED.fetch_add(1, Ordering::SeqCst) + 1)
}

#[workflow]
async fn is_written_late() -> Result<u32> {
    let first = counts_waited().await?;
    Ok(first + 10 * counts_waited().await?)
}

static RETURNS: AtomicBool = AtomicBool::new(false);

#[workflow(allow(WF009, reason = "the test says when it returns"))]
async fn does_not_return() -> Result<u32> {
    while !RETURNS.load(Ordering::SeqCst) {
        std::hint::spin_loop();
    }
    Ok(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_read_back_when_what_it_sent_is_in_the_store_and_not_before() {
    // The start goes in, the result of the first step waits.
    let (store, shut) = gated(1);
    let quickly = Settings { turn_limit: Duration::from_millis(300), ..settings(1) };
    let (client, worker) = start_on(store, quickly).await;
    let run = client.start(is_written_late()).await.unwrap();
    let lane = Arc::clone(&worker.shared.lanes[0]);
    until(|| WAITED.load(Ordering::SeqCst) == 1 && !lane.is_settled()).await;
    let stuck = tokio::spawn({
        let client = client.clone();
        async move { client.start(does_not_return()).await }
    });
    until(|| lane.state().generation == 1).await;
    pause(Duration::from_millis(300)).await;
    assert!(!stuck.is_finished(), "the lane was read back");
    shut.store(false, Ordering::SeqCst);
    assert!(stuck.await.unwrap().is_err());
    assert_eq!(run.result().within(Duration::from_secs(20)).await.unwrap(), 21);
    assert_eq!(run.history().await.unwrap().events().len(), 2);
    RETURNS.store(true, Ordering::SeqCst);
    worker.shut_down(Duration::from_secs(5)).await;
}

static TURNS: AtomicU32 = AtomicU32::new(0);
static LAST_RETURNS: AtomicBool = AtomicBool::new(false);

#[workflow(allow(WF009, reason = "the test says when it returns"))]
async fn its_second_turn_does_not_return() -> Result<u32> {
    let number = count(1).await?;
    TURNS.fetch_add(1, Ordering::SeqCst);
    while !LAST_RETURNS.load(Ordering::SeqCst) {
        std::hint::spin_loop();
    }
    Ok(number)
}

/// Loads no two runs together as long as it is shut.
struct ReadBack {
    shut: Arc<AtomicBool>,
}

impl Disturbance for ReadBack {
    fn before_commit(&self, _number: u64) -> Result<(), Error> {
        Ok(())
    }

    fn after_commit(&self, _number: u64) -> Result<(), Error> {
        Ok(())
    }

    fn holds_load(&self, runs: usize) -> bool {
        runs > 1 && self.shut.load(Ordering::SeqCst)
    }
}

#[workflow]
async fn sleeps_for_long() -> Result<()> {
    workflow::sleep(Duration::from_secs(600)).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_while_a_lane_is_read_back_takes_no_turn_again() {
    let turn_limit = Duration::from_millis(300);
    let settings = Settings { turn_limit, park_after: Duration::from_secs(60), ..settings(1) };
    let shut = Arc::new(AtomicBool::new(true));
    let read_back = ReadBack { shut: Arc::clone(&shut) };
    let store = Disturbed::around(Arc::new(MemoryStore::default()), read_back);
    let (client, worker) = start_on(store, settings).await;
    client.start(sleeps_for_long()).await.unwrap();
    let run = client.start(its_second_turn_does_not_return()).await.unwrap();
    until(|| TURNS.load(Ordering::SeqCst) == 1).await;
    let number = client.inner.store.find(run.id()).await.unwrap().unwrap().run;
    assert!(worker.shared.threads[0].push(Message::Owned(vec![number])).is_ok());
    let lane = Arc::clone(&worker.shared.lanes[0]);
    until(|| lane.state().generation == 1).await;
    pause(turn_limit).await;
    shut.store(false, Ordering::SeqCst);
    let blocked = async {
        while run.status().await.unwrap() != crate::Status::Blocked {
            tokio::task::yield_now().await;
        }
    };
    within(Duration::from_secs(20), blocked).await.expect("it was not set aside");
    assert_eq!(TURNS.load(Ordering::SeqCst), 1, "the turn was taken again");
    LAST_RETURNS.store(true, Ordering::SeqCst);
    worker.shut_down(Duration::from_secs(5)).await;
}

static SHIPPED: AtomicU32 = AtomicU32::new(0);
static MAY_SHIP: AtomicBool = AtomicBool::new(false);

#[step]
async fn ships() -> Result<()> {
    SHIPPED.fetch_add(1, Ordering::SeqCst);
    until(|| MAY_SHIP.load(Ordering::SeqCst)).await;
    Ok(())
}

#[workflow]
async fn ships_once() -> Result<()> {
    ships().await
}

/// Gives what it loaded late.
struct LateLoad {
    loaded: Arc<AtomicU32>,
    shut: Arc<AtomicBool>,
}

impl Disturbance for LateLoad {
    fn before_commit(&self, _number: u64) -> Result<(), Error> {
        Ok(())
    }

    fn after_commit(&self, _number: u64) -> Result<(), Error> {
        Ok(())
    }

    fn holds_loaded(&self, _runs: usize) -> bool {
        self.loaded.fetch_add(1, Ordering::SeqCst);
        self.shut.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ended_while_it_was_read_again_runs_no_step_again() {
    let (loaded, shut) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(true)));
    let late = LateLoad { loaded: Arc::clone(&loaded), shut: Arc::clone(&shut) };
    let store = Disturbed::around(Arc::new(MemoryStore::default()), late);
    let (client, worker) = start_on(store, settings(1)).await;
    let run = client.start(ships_once()).await.unwrap();
    until(|| SHIPPED.load(Ordering::SeqCst) == 1).await;
    let number = client.inner.store.find(run.id()).await.unwrap().unwrap().run;
    assert!(worker.shared.reload.push(number).is_ok());
    worker.shared.claim.notify_one();
    until(|| loaded.load(Ordering::SeqCst) > 0).await;
    // What was read has no result yet.
    MAY_SHIP.store(true, Ordering::SeqCst);
    run.result().within(Duration::from_secs(20)).await.unwrap();
    shut.store(false, Ordering::SeqCst);
    until(|| worker.shared.lanes[0].state().rereads == 0).await;
    worker.shut_down(Duration::from_secs(5)).await;
    assert_eq!(SHIPPED.load(Ordering::SeqCst), 1);
}

static GRUMPY: AtomicU32 = AtomicU32::new(0);
static LET_GO: AtomicBool = AtomicBool::new(false);
static DROPPED: AtomicBool = AtomicBool::new(false);

/// The second panics when a workflow thread drops it.
#[derive(serde::Serialize, serde::Deserialize)]
struct Grumpy(u32);

impl Drop for Grumpy {
    fn drop(&mut self) {
        let thread = std::thread::current();
        let is_there = thread.name().is_some_and(|name| name.starts_with("workflow-"));
        if self.0 == 2 && is_there && !std::thread::panicking() {
            DROPPED.store(true, Ordering::SeqCst);
            panic!("on purpose");
        }
    }
}

#[step]
async fn grumpy(number: u32) -> Result<Grumpy> {
    GRUMPY.fetch_add(number, Ordering::SeqCst);
    if number == 2 {
        until(|| LET_GO.load(Ordering::SeqCst)).await;
    }
    Ok(Grumpy(number))
}

#[workflow]
async fn drops_the_second() -> Result<u32> {
    let first = workflow::select! {
        first = grumpy(1) => first?,
        second = grumpy(2) => second?,
    };
    Ok(first.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_panics_when_it_is_dropped_makes_no_step_run_again() {
    // The start goes in; the end, by the first step, waits.
    let (store, shut) = gated(1);
    let (client, worker) = start_on(store, settings(1)).await;
    let run = client.start(drops_the_second()).await.unwrap();
    let lane = Arc::clone(&worker.shared.lanes[0]);
    until(|| GRUMPY.load(Ordering::SeqCst) == 3 && !lane.is_settled()).await;
    // It is discarded, and panics, while the end is on its way.
    LET_GO.store(true, Ordering::SeqCst);
    until(|| DROPPED.load(Ordering::SeqCst)).await;
    shut.store(false, Ordering::SeqCst);
    assert_eq!(run.result().within(Duration::from_secs(20)).await.unwrap(), 1);
    assert_eq!(GRUMPY.load(Ordering::SeqCst), 3, "a step ran again");
    worker.shut_down(Duration::from_secs(5)).await;
}

static ONCE: AtomicU32 = AtomicU32::new(0);

#[step(semantics = at_most_once)]
async fn runs_once() -> Result<u32> {
    Ok(ONCE.fetch_add(1, Ordering::SeqCst) + 1)
}

#[workflow]
async fn once() -> Result<u32> {
    runs_once().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_did_not_begin_before_the_worker_stopped_was_not_interrupted() {
    // The start goes in; that the step begins waits.
    let (store, shut) = gated(1);
    let (client, worker) = start_on(Arc::clone(&store), settings(1)).await;
    let run = client.start(once()).await.unwrap();
    let lane = Arc::clone(&worker.shared.lanes[0]);
    until(|| !lane.is_settled()).await;
    let writer = worker.shared.parts.writer;
    let stops = tokio::spawn(worker.shut_down(Duration::from_secs(20)));
    until(|| lane.state().draining).await;
    shut.store(false, Ordering::SeqCst);
    stops.await.unwrap();
    store.release(writer, SystemClock::new().now()).await.unwrap();
    assert_eq!(ONCE.load(Ordering::SeqCst), 0);
    let (again, worker) = start_on(store, settings(1)).await;
    let run = again.handle(once, run.id());
    assert_eq!(run.result().within(Duration::from_secs(20)).await.unwrap(), 1);
    worker.shut_down(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_commits_and_lost_answers_delay_workflows_and_nothing_else() {
    let (client, worker) = start(Flaky::default()).await;
    let before = BODIES.load(Ordering::SeqCst);
    let runs = (0..40).map(|n| client.start(counts(n)));
    let runs = futures::future::join_all(runs).await;
    for (n, run) in (0..).zip(runs) {
        let run = run.unwrap();
        assert_eq!(run.result().await.unwrap(), 3 * n + 3);
        let history = run.history().await.unwrap();
        // A start that finds all slots taken for a claim begins with a row of its own.
        let results = history.events().iter().filter(|event| event.kind() != "begun");
        assert_eq!(results.count(), 3, "{history}");
    }
    assert_eq!(BODIES.load(Ordering::SeqCst) - before, 120, "a body ran twice");
    worker.shut_down(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_waits_until_the_store_answers() {
    let (client, worker) = start(Flaky { down: 4, ..Flaky::default() }).await;
    let run = client.start(counts(1)).await.unwrap();
    assert_eq!(run.result().await.unwrap(), 6);
    worker.shut_down(Duration::from_secs(5)).await;
}

#[workflow]
async fn sleeps_twice() -> Result<u32> {
    workflow::sleep(Duration::from_millis(600)).await;
    let first = count(1).await?;
    workflow::sleep(Duration::from_millis(600)).await;
    Ok(first + count(2).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_comes_back_when_the_answer_to_its_claim_is_lost() {
    let forgets_claim = Arc::new(AtomicBool::new(true));
    let flaky = Flaky { forgets_claim: Arc::clone(&forgets_claim), ..Flaky::default() };
    let (client, worker) = start(flaky).await;
    let run = client.start(sleeps_twice()).await.unwrap();
    assert_eq!(run.result().within(Duration::from_secs(20)).await.unwrap(), 3);
    assert_eq!(run.history().await.unwrap().events().len(), 4);
    assert!(!forgets_claim.load(Ordering::SeqCst), "it never left memory: nothing was claimed");
    worker.shut_down(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_that_saw_a_run_dead_sees_it_redriven() {
    let (client, worker) = start(Flaky::default()).await;
    let run = client.start(sleeps_twice()).await.unwrap();
    let number = client.inner.store.find(run.id()).await.unwrap().unwrap().run;
    client.inner.endings.tell(number, dead(5, SystemClock::new().now()));
    assert_eq!(run.result().within(Duration::from_secs(20)).await.unwrap(), 3);
    worker.shut_down(Duration::from_secs(5)).await;
}
