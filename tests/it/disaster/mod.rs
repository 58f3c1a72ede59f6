//! Postgres in trouble: cut off, crashed, full, failed over, restored. Nothing
//! that was acknowledged is lost, and nothing happens twice.
//!
//! `DISASTER_SECONDS` makes cuts, crashes, failovers and restored backups go on
//! for so long; without it they are as many as they need to be.

mod failover;
mod network;
mod pooler;
mod server;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use workflow_runtime::{Client, ErrorKind};
use workflow_test_postgres::{Cluster, Settings, cluster};
use workflow_tests::Place;
use workflow_tests::checker::Acknowledged;
use workflow_tests::order::order;
use workflow_tests::proxy::Proxy;
use workflow_tests::schema::Schema;

use crate::fleet::pause;

/// Orders that are started one after the other by several callers, as long as
/// it takes.
struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Acknowledged>>,
    ended: Arc<AtomicU64>,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

#[expect(clippy::disallowed_methods, reason = "disasters happen in real time")]
fn now() -> Instant {
    Instant::now()
}

/// Callers of a load.
const CALLERS: u64 = 24;

impl Load {
    fn on(client: &Client) -> Self {
        Self::with(client, false)
    }

    /// `forgets`: the database may forget what it acknowledged; who waits for a
    /// result starts the order again then.
    fn with(client: &Client, forgets: bool) -> Self {
        let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (acknowledged, ended) =
            (Arc::<Mutex<Acknowledged>>::default(), Arc::<AtomicU64>::default());
        let callers = (0..CALLERS).map(|_| {
            let (client, stop, next) = (client.clone(), Arc::clone(&stop), Arc::clone(&next));
            let (acknowledged, ended) = (Arc::clone(&acknowledged), Arc::clone(&ended));
            tokio::spawn(async move {
                while !stop.load(Ordering::Acquire) {
                    let n = next.fetch_add(1, Ordering::AcqRel);
                    one(&client, n, &acknowledged, forgets).await;
                    ended.fetch_add(1, Ordering::AcqRel);
                }
            })
        });
        let callers = callers.collect();
        Self { stop, acknowledged, ended, callers }
    }

    /// Until so many orders more have ended.
    async fn goes_on(&self, orders: u64) {
        let (until, begun) = (self.ended.load(Ordering::Acquire) + orders, now());
        while self.ended.load(Ordering::Acquire) < until {
            pause(5).await;
            assert!(begun.elapsed() < Duration::from_secs(120), "it does not go on");
        }
    }

    /// All have ended: what was acknowledged.
    async fn end(self) -> Acknowledged {
        self.stop.store(true, Ordering::Release);
        for caller in self.callers {
            caller.await.unwrap();
        }
        self.acknowledged.lock().unwrap().clone()
    }
}

/// Starts an order and waits for its result, as often as it takes.
async fn one(client: &Client, n: u64, acknowledged: &Mutex<Acknowledged>, forgets: bool) {
    // They sleep for 0 to 196 ms in their middle.
    let number = n * 2_000 + n % 50;
    let id = format!("order-{number}");
    let (begun, mut started) = (now(), None);
    loop {
        assert!(begun.elapsed() < Duration::from_secs(120), "{id} does not end");
        let run = match started.take() {
            Some(run) => run,
            None => match client.start(order(number).id(&id)).await {
                Ok(run) => run,
                Err(error) if error.kind() == ErrorKind::Unavailable => continue,
                Err(error) => panic!("{id}: {error}"),
            },
        };
        acknowledged.lock().unwrap().starts.insert(id.clone());
        if let Ok(result) = run.result().within(Duration::from_secs(5)).await {
            acknowledged.lock().unwrap().results.insert(id, result);
            return;
        }
        started = (!forgets).then_some(run);
    }
}

/// A cluster of a test's own, and a network to it.
struct Scene {
    cluster: Cluster,
    proxy: Proxy,
    place: Place,
}

impl Scene {
    async fn new(durable: bool) -> Option<Self> {
        let settings = Settings { durable, ..Settings::default() };
        let cluster = cluster(&settings)?;
        let proxy = Proxy::to(cluster.port()).await;
        Some(Self { cluster, proxy, place: Place::new() })
    }

    /// Where the workers and the client find the database.
    fn schema(&self) -> Schema {
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", self.proxy.port());
        Schema { url, name: "disaster".to_owned() }
    }

    /// Where the test finds it.
    fn behind(&self) -> Schema {
        Schema { url: self.cluster.url().to_owned(), ..self.schema() }
    }
}

/// Runs that were open in what the database went back to end, too: nobody waits
/// for them any more.
async fn all_end(schema: &Schema) {
    let (mut sql, begun) = (schema.sql().await, now());
    let open = "select exists (select 1 from active)";
    while sqlx::query_scalar(open).fetch_one(&mut sql).await.unwrap() {
        pause(20).await;
        assert!(begun.elapsed() < Duration::from_secs(60), "some do not end");
    }
}

/// How long a test is to last at least.
fn length() -> Duration {
    let seconds = std::env::var("DISASTER_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}
