//! Postgres in trouble: cut off, crashed, full, failed over, restored. Nothing
//! that was acknowledged is lost, and nothing happens twice.
//!
//! `DISASTER_SECONDS` makes each test last so long; without it they are as long
//! as they need to be.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use workflow_runtime::{Client, CommandOutcome, ErrorKind, FailureKind, Filter};
use workflow_test_postgres::{Cluster, Copying, Settings, cluster, pooler};
use workflow_tests::Place;
use workflow_tests::chance::Chance;
use workflow_tests::checker::{Acknowledged, check_no_fork, check_orders};
use workflow_tests::disk::{Disk, skip};
use workflow_tests::order::order;
use workflow_tests::proxy::{Cut, Proxy};
use workflow_tests::schema::Schema;
use workflow_tests::served::long_sleep;

use crate::fleet::{Worker, pause};
use crate::steps::{World, provided};

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

/// How long a test is to last at least.
fn length() -> Duration {
    let seconds = std::env::var("DISASTER_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_cut_at_every_moment_and_nothing_is_lost() {
    let Some(scene) = Scene::new(false).await else { return };
    let mut chance = Chance::from_env("CUT_SEED");
    let schema = scene.schema();
    let client = schema.runtime().connect().await.unwrap();
    let _workers: Vec<Worker> = (0..3).map(|_| Worker::start(&schema, &scene.place)).collect();
    let load = Load::on(&client);
    let begun = now();
    let how = [Cut::BeforeReply, Cut::BeforeReply, Cut::InReply, Cut::BeforeRequest, Cut::Now];
    while scene.proxy.cuts() < 500 || begun.elapsed() < length() {
        let kind = how[usize::try_from(chance.below(5)).unwrap()];
        scene.proxy.cut(chance.below(1_000), kind);
        pause(chance.below(40)).await;
        assert!(begun.elapsed() < length() + Duration::from_secs(120), "the cuts hit nothing");
    }
    let cuts = scene.proxy.cuts();
    load.goes_on(50).await;
    let orders =
        check_orders(&scene.behind(), &scene.place.path("ledger"), &load.end().await).await;
    println!("{cuts} cuts, {orders} orders");
    assert!(orders > 100, "{orders} orders tell nothing");
    assert_eq!(client.health().forgot, 0);
}

/// Kills one backend of the workers, or all.
async fn kill_backends(scene: &Scene, limit: i64) -> i64 {
    let mut sql = scene.behind().sql().await;
    let kill = "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity \
                where application_name = 'workflow-runtime' order by random() limit $1) as chosen";
    sqlx::query_scalar(kill).bind(limit).fetch_one(&mut sql).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_loses_nothing_and_needs_nobody() {
    let Some(scene) = Scene::new(true).await else { return };
    let schema = scene.schema();
    let client = schema.runtime().connect().await.unwrap();
    let _workers: Vec<Worker> = (0..2).map(|_| Worker::start(&schema, &scene.place)).collect();
    let load = Load::on(&client);
    let (begun, mut crashes) = (now(), 0);
    while crashes < 3 || begun.elapsed() < length() {
        load.goes_on(40).await;
        for limit in [1, 1, 100] {
            assert!(kill_backends(&scene, limit).await > 0);
            load.goes_on(10).await;
        }
        scene.cluster.crash().unwrap();
        crashes += 1;
    }
    load.goes_on(40).await;
    let orders =
        check_orders(&scene.behind(), &scene.place.path("ledger"), &load.end().await).await;
    println!("{crashes} crashes, {orders} orders");
    assert_eq!(client.health().forgot, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_dark_for_long_delays_work_and_loses_none() {
    let Some(scene) = Scene::new(false).await else { return };
    let schema = scene.schema();
    let client = schema.runtime().connect().await.unwrap();
    let _workers: Vec<Worker> = (0..2).map(|_| Worker::start(&schema, &scene.place)).collect();
    let load = Load::on(&client);
    load.goes_on(40).await;
    // Requests that are on their way arrive late, after others were sent.
    scene.proxy.dark(true);
    pause(30_000).await;
    let health = client.health();
    let trouble = health.trouble.as_ref().expect("the client does not know");
    assert!(trouble.lasts > Duration::from_secs(10), "{health:?}");
    assert!(health.oldest_waiting.is_some_and(|waits| waits > Duration::from_secs(10)));
    scene.proxy.dark(false);
    let begun = now();
    load.goes_on(1).await;
    println!("goes on after {:?}", begun.elapsed());
    load.goes_on(40).await;
    assert!(client.health().is_good(), "{:?}", client.health());
    // Slowly, too.
    scene.proxy.slow(200, Duration::from_millis(2));
    load.goes_on(40).await;
    scene.proxy.slow(0, Duration::ZERO);
    let orders =
        check_orders(&scene.behind(), &scene.place.path("ledger"), &load.end().await).await;
    assert!(orders > 100, "{orders} orders tell nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_of_the_database_workflows_wait_and_go_on_when_there_is_room() {
    let disk = match Disk::new(32) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let Some(scene) = Scene::new(false).await else { return };
    let space = disk.root().join("space");
    std::fs::create_dir(&space).unwrap();
    scene.cluster.takes(&space).unwrap();
    let mut sql = scene.behind().sql().await;
    for text in [
        format!("create tablespace small location '{}'", space.display()),
        "alter database postgres set default_tablespace = small".to_owned(),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut sql).await.unwrap();
    }
    let (world, schema) = (Arc::<World>::default(), scene.schema());
    let worker = provided(schema.runtime(), &scene.place, &world).build().await.unwrap();
    let load = Load::on(worker.client());
    load.goes_on(40).await;
    let ballast = disk.root().join("ballast");
    crate::disk::ballast(&ballast, 0);
    let begun = now();
    let is_full = || {
        let trouble = worker.health().trouble;
        trouble.is_some_and(|trouble| trouble.message.contains("disk of the database is full"))
    };
    while !is_full() {
        pause(20).await;
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", worker.health());
    }
    pause(2_000).await;
    assert!(worker.health().oldest_waiting.is_some_and(|waits| waits > Duration::from_secs(1)));
    let mut sql = scene.behind().sql().await;
    let failed = sqlx::query_scalar("select count(*) from disaster.runs where status > 1");
    assert_eq!(failed.fetch_one(&mut sql).await.unwrap_or(-1_i64), 0, "a workflow failed");
    std::fs::remove_file(&ballast).unwrap();
    load.goes_on(40).await;
    let health = worker.health();
    assert!(health.is_good(), "{health:?}");
    check_orders(&scene.behind(), &scene.place.path("ledger"), &load.end().await).await;
    worker.shutdown().await.unwrap();
    // The server leaves the disk before it goes.
    drop(scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_backup_under_running_workers_is_reported_and_forks_no_history() {
    let Some(scene) = Scene::new(false).await else { return };
    let (world, schema) = (Arc::<World>::default(), scene.schema());
    let lease = Duration::from_secs(1);
    let build = || provided(schema.runtime(), &scene.place, &world).lease(lease).build();
    let workers = [build().await.unwrap(), build().await.unwrap()];
    let client = schema.runtime().connect().await.unwrap();
    let load = Load::with(&client, true);
    for round in 1..=3 {
        load.goes_on(40).await;
        let backup = scene.cluster.backup().unwrap();
        load.goes_on(40).await;
        scene.cluster.restore(&backup).unwrap();
        let begun = now();
        while workers.iter().any(|worker| worker.health().forgot < round) {
            pause(5).await;
            assert!(begun.elapsed() < Duration::from_secs(30), "a worker did not notice");
        }
        load.goes_on(40).await;
    }
    assert!(client.health().forgot > 0, "the client did not notice");
    load.end().await;
    let orders = check_no_fork(&scene.behind(), &scene.place.path("ledger")).await;
    assert!(orders > 100, "{orders} orders tell nothing");
    for worker in workers {
        worker.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_through_a_pooler_that_gives_each_transaction_another_connection() {
    let Some(scene) = Scene::new(false).await else { return };
    let Some(pooler) = pooler(&scene.cluster) else { return };
    scene.proxy.lead_to(pooler.port());
    let (world, schema) = (Arc::<World>::default(), scene.schema());
    let lease = Duration::from_secs(1);
    let build = || {
        let builder = provided(schema.runtime(), &scene.place, &world).lease(lease);
        builder.transaction_pooler().build()
    };
    let workers = [build().await.unwrap(), build().await.unwrap()];
    let client = schema.runtime().transaction_pooler().connect().await.unwrap();
    let load = Load::on(&client);
    load.goes_on(100).await;
    // What people ask.
    let sleeper = client.start(long_sleep().id("sleeper").meta("who", "ada")).await.unwrap();
    assert_eq!(sleeper.cancel().await.unwrap(), CommandOutcome::Accepted);
    let cancelled = sleeper.result().within(Duration::from_secs(30)).await;
    assert_eq!(cancelled.unwrap_err().kind(), FailureKind::Cancelled);
    let found = client.list(Filter::new().meta("who", "ada")).await.unwrap();
    assert_eq!(found.runs().len(), 1);
    client.delete("sleeper").await.unwrap();
    // Connections before and behind the pooler are lost.
    let mut chance = Chance::from_env("POOLER_SEED");
    while scene.proxy.cuts() < 50 {
        scene.proxy.cut(chance.below(1_000), Cut::BeforeReply);
        pause(chance.below(40)).await;
    }
    scene.cluster.crash().unwrap();
    load.goes_on(50).await;
    // One of the workers ends without a word.
    let [first, second] = workers;
    drop(first);
    load.goes_on(50).await;
    let orders =
        check_orders(&scene.behind(), &scene.place.path("ledger"), &load.end().await).await;
    assert!(orders > 200, "{orders} orders tell nothing");
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_backup_behind_a_pooler_is_found_out_too() {
    let Some(scene) = Scene::new(false).await else { return };
    let Some(pooler) = pooler(&scene.cluster) else { return };
    scene.proxy.lead_to(pooler.port());
    let (world, schema) = (Arc::<World>::default(), scene.schema());
    let builder = provided(schema.runtime(), &scene.place, &world).lease(Duration::from_secs(1));
    let worker = builder.transaction_pooler().build().await.unwrap();
    let load = Load::with(worker.client(), true);
    load.goes_on(40).await;
    let backup = scene.cluster.backup().unwrap();
    load.goes_on(40).await;
    scene.cluster.restore(&backup).unwrap();
    let begun = now();
    while worker.health().forgot == 0 {
        pause(5).await;
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody noticed");
    }
    load.goes_on(40).await;
    load.end().await;
    check_no_fork(&scene.behind(), &scene.place.path("ledger")).await;
    worker.shutdown().await.unwrap();
}

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
    let orders = check_no_fork(&pair.behind(), &place.path("ledger")).await;
    report("failovers that forgot something", times);
    println!("{orders} orders");
    for worker in workers {
        worker.shutdown().await.unwrap();
    }
}
