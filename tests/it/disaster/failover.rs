//! Standbys that take over.

use std::sync::Arc;
use std::time::Duration;

use workflow_test_postgres::{Cluster, Copying, Settings, cluster};
use workflow_tests::Place;
use workflow_tests::checker::{check_no_fork, check_orders};
use workflow_tests::proxy::Proxy;
use workflow_tests::schema::Schema;

use super::{Load, all_end, length, now};
use crate::fleet::{Worker, pause};
use crate::steps::{World, provided};

/// A primary and its standby, each behind a port that stays.
struct Pair {
    primary: Cluster,
    /// Ports of the primary and of the next one.
    ports: [Proxy; 2],
    /// Which port the primary has.
    first: usize,
    /// What the standby receives passes here.
    stream: Proxy,
}

impl Pair {
    async fn new() -> Option<Self> {
        let primary = cluster(&Settings::default())?;
        let ports = [Proxy::to(primary.port()).await, Proxy::to(1).await];
        let stream = Proxy::to(primary.port()).await;
        Some(Self { primary, ports, first: 0, stream })
    }

    fn schema(&self) -> Schema {
        let [one, other] = [self.ports[0].port(), self.ports[1].port()];
        let url = format!(
            "postgres://postgres@127.0.0.1:{one},127.0.0.1:{other}/postgres?\
             target_session_attrs=read-write"
        );
        Schema { url, name: "pair".to_owned() }
    }

    fn behind(&self) -> Schema {
        Schema { url: self.primary.url().to_owned(), ..self.schema() }
    }

    /// How many rows there are.
    async fn rows(&self) -> i64 {
        let mut sql = self.behind().sql().await;
        sqlx::query_scalar("select count(*) from history").fetch_one(&mut sql).await.unwrap()
    }

    async fn standby(&self, copying: Copying) -> Cluster {
        self.stream.lead_to(self.primary.port());
        self.stream.dark(false);
        let standby = self.primary.standby(self.stream.port(), copying).unwrap();
        self.ports[1 - self.first].lead_to(standby.port());
        standby
    }

    /// The primary is gone, and the standby takes over; how long it takes from
    /// then until something is committed.
    async fn fail_over(&mut self, standby: Cluster) -> Duration {
        self.primary.destroy().unwrap();
        self.stream.cut_all();
        standby.promote().unwrap();
        let begun = now();
        (self.primary, self.first) = (standby, 1 - self.first);
        let rows = self.rows().await;
        while self.rows().await == rows {
            pause(5).await;
            assert!(begun.elapsed() < Duration::from_secs(60), "nobody goes on");
        }
        begun.elapsed()
    }
}

/// How often a standby takes over.
const FAILOVERS: usize = 20;

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let [middle, longest] = [times[times.len() / 2], times[times.len() - 1]];
    println!("{} {what}: first commit after {middle:?}, at most {longest:?}", times.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronous_standby_takes_over_and_nothing_is_lost() {
    let Some(mut pair) = Pair::new().await else { return };
    let (place, schema) = (Place::new(), pair.schema());
    let client = schema.runtime().connect().await.unwrap();
    let _workers: Vec<Worker> = (0..2).map(|_| Worker::start(&schema, &place)).collect();
    let load = Load::on(&client);
    let (begun, mut times) = (now(), Vec::new());
    while times.len() < FAILOVERS || begun.elapsed() < length() {
        let standby = pair.standby(Copying::Synchronous).await;
        load.goes_on(20).await;
        times.push(pair.fail_over(standby).await);
        load.goes_on(5).await;
    }
    let orders = check_orders(&pair.behind(), &place.path("ledger"), &load.end().await).await;
    report("failovers", times);
    println!("{orders} orders");
    assert_eq!(client.health().forgot, 0, "something was forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_did_not_have_everything_is_found_out_every_time() {
    let Some(mut pair) = Pair::new().await else { return };
    let (place, world, schema) = (Place::new(), Arc::<World>::default(), pair.schema());
    let lease = Duration::from_secs(1);
    let build = || provided(schema.runtime(), &place, &world).lease(lease).build();
    let workers = [build().await.unwrap(), build().await.unwrap()];
    let client = schema.runtime().connect().await.unwrap();
    let load = Load::with(&client, true);
    let forgot = || workers.iter().map(|worker| worker.health().forgot).sum::<u32>();
    let (begun, mut times) = (now(), Vec::new());
    while times.len() < FAILOVERS || begun.elapsed() < length() {
        let standby = pair.standby(Copying::Asynchronous).await;
        load.goes_on(20).await;
        // What is committed from here on the standby never gets.
        pair.stream.dark(true);
        load.goes_on(20).await;
        let before = forgot();
        times.push(pair.fail_over(standby).await);
        let failed = now();
        while forgot() == before {
            pause(5).await;
            assert!(failed.elapsed() < Duration::from_secs(30), "nobody noticed");
        }
        load.goes_on(5).await;
    }
    load.end().await;
    all_end(&pair.behind()).await;
    let orders = check_no_fork(&pair.behind(), &place.path("ledger")).await;
    report("failovers that forgot something", times);
    println!("{orders} orders");
    for worker in workers {
        worker.shutdown().await.unwrap();
    }
}
