//! The worker on a store that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::{Parts, Settings, Worker};
use crate::client::Client;
use crate::clock::{SystemClock, Timestamp};
use crate::error::{Error, ErrorKind};
use crate::model::{Answer, Event, Item, Limits, RunId, RunRecord, WriterId};
use crate::registry::Registry;
use crate::state::State;
use crate::store::{Counter, Endings, Loaded, MemoryStore, Numbers, Store};
use crate::{Result, step, workflow};

/// Of three commits one is lost on its way, one loses its answer.
#[derive(Default)]
struct Flaky {
    inner: MemoryStore,
    commits: AtomicU64,
    /// No commit at all until that many were tried.
    down: u64,
}

#[async_trait]
impl Store for Flaky {
    async fn commit(&self, items: &[Item]) -> Result<Vec<Answer>, Error> {
        let lost = || Err(Error::new(ErrorKind::Unavailable, "the line is dead"));
        let number = self.commits.fetch_add(1, Ordering::SeqCst);
        if number < self.down || number.is_multiple_of(3) {
            return lost();
        }
        let answers = self.inner.commit(items).await;
        if number % 3 == 1 { lost() } else { answers }
    }

    async fn reserve(&self, counter: Counter, count: u32) -> Result<i64, Error> {
        self.inner.reserve(counter, count).await
    }

    async fn take_over(&self, writer: WriterId, build: &str, now: Timestamp) -> Result<(), Error> {
        self.inner.take_over(writer, build, now).await
    }

    async fn claim(
        &self,
        writer: WriterId,
        now: Timestamp,
        most: u32,
    ) -> Result<Vec<RunId>, Error> {
        self.inner.claim(writer, now, most).await
    }

    async fn owned(&self, writer: WriterId) -> Result<Vec<RunId>, Error> {
        self.inner.owned(writer).await
    }

    async fn load(&self, runs: &[RunId]) -> Result<Vec<(RunId, Loaded)>, Error> {
        self.inner.load(runs).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        self.inner.next_due().await
    }

    async fn release(&self, writer: WriterId, now: Timestamp) -> Result<(), Error> {
        self.inner.release(writer, now).await
    }

    async fn find(&self, id: &str) -> Result<Option<RunRecord>, Error> {
        self.inner.find(id).await
    }

    async fn history(&self, run: RunId) -> Result<Vec<Event>, Error> {
        self.inner.history(run).await
    }

    async fn close(&self) {}
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

async fn start(store: Flaky) -> (Arc<Client>, Worker) {
    let store: Arc<dyn Store> = Arc::new(store);
    let endings = Arc::new(Endings::default());
    let limits = Limits { payload: 1 << 20 };
    let settings =
        Settings { threads: 2, park_after: Duration::from_secs(1), limits, build: "b".into() };
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
    (Arc::new(Client { store, endings, starts, numbers, limits }), worker)
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
