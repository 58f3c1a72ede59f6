//! The worker on a store that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::{Parts, Settings, Worker};
use crate::client::{Client, Inner};
use crate::clock::SystemClock;
use crate::error::{Error, ErrorKind};
use crate::model::{Limits, RunId, WriterId};
use crate::registry::Registry;
use crate::state::State;
use crate::store::{Counter, Disturbance, Disturbed, Endings, MemoryStore, Numbers};
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
    let store = Disturbed::around(Arc::new(MemoryStore::default()), flaky);
    let endings = Arc::new(Endings::default());
    let limits = Limits { payload: 1 << 20 };
    let settings = Settings {
        threads: 2,
        park_after: Duration::ZERO,
        limits,
        max_history: 1_000,
        max_runs: 100,
        max_steps: 100,
        max_claims: 5,
        probation: Duration::from_millis(10),
        turn_limit: Duration::from_secs(10),
        keep_completed: None,
        exclusive: false,
        build: "b".into(),
    };
    let worker = Worker::start(Parts {
        store: Arc::clone(&store),
        clock: Arc::new(SystemClock::new()),
        endings: Arc::clone(&endings),
        registry: Registry::new(&[]).unwrap(),
        state: Arc::new(State::default()),
        settings,
        writer: WriterId(store.reserve(Counter::Writers, 1).await.unwrap()),
    })
    .unwrap();
    let (starts, numbers) = (worker.starts(), Numbers::new(Arc::clone(&store)));
    let clock = Arc::new(SystemClock::new());
    let chance = std::sync::Mutex::new(crate::chance::stream());
    let inner = Inner {
        store,
        endings,
        starts,
        numbers,
        limits,
        clock,
        without_worker: false,
        exclusive: false,
        chance,
    };
    (Client { inner: Arc::new(inner) }, worker)
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
        assert_eq!(run.history().await.unwrap().events().len(), 3);
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
