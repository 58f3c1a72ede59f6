//! Many workers on one Postgres: killed, stopped, racing.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use workflow_runtime::{Client, CommandOutcome, ErrorKind, Handle, Runtime};
use workflow_test_postgres::{Settings, cluster};
use workflow_tests::Place;
use workflow_tests::chance::Chance;
use workflow_tests::checker::{Acknowledged, check_orders};
use workflow_tests::order::{hogs, order};
use workflow_tests::schema::Schema;
use workflow_tests::served::doubled;

use crate::steps::{World, provided};

const LEASE: u64 = 1_000;

/// A worker process; it ends with the test.
pub(crate) struct Worker(pub(crate) Child);

impl Drop for Worker {
    fn drop(&mut self) {
        // It may be dead already.
        let _dead = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Worker {
    /// One that serves, once it does.
    pub(crate) fn start(schema: &Schema, place: &Place) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_worker"))
            .args([&schema.url, &schema.name])
            .arg(place.path("ledger"))
            .arg(LEASE.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut worker = Self(child.expect("a worker"));
        let output = worker.0.stdout.take().expect("its output");
        let line = BufReader::new(output).lines().next();
        assert_eq!(line.expect("it serves").expect("it serves"), "serves");
        worker
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.0.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }
}

#[expect(clippy::disallowed_methods, reason = "processes are killed in real time")]
pub(crate) async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

async fn start(client: &Client, orders: u64) -> Vec<Handle<String>> {
    let starts = (0..orders).map(|n| client.start(order(n).id(format!("order-{n}"))));
    let started = futures::future::join_all(starts).await;
    started.into_iter().map(Result::unwrap).collect()
}

async fn all_end(runs: &[Handle<String>]) {
    for run in runs {
        run.result().within(Duration::from_secs(120)).await.unwrap();
    }
}

/// All orders went on in order; how many there are.
async fn checked(schema: &Schema, place: &Place) -> usize {
    check_orders(schema, &place.path("ledger"), &Acknowledged::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_killed_again_and_again_and_every_order_ends_once() {
    let Some(schema) = Schema::new() else { return };
    let mut chance = Chance::from_env("FLEET_SEED");
    let place = Place::new();
    let client = schema.runtime().connect().await.unwrap();
    let mut workers: Vec<Worker> = (0..4).map(|_| Worker::start(&schema, &place)).collect();
    let runs = start(&client, 2_000).await;
    let ended = tokio::spawn(async move { all_end(&runs).await });
    let mut kills = 0;
    while !ended.is_finished() {
        pause(1_000).await;
        let victim = usize::try_from(chance.below(4)).unwrap();
        workers[victim] = Worker::start(&schema, &place);
        kills += 1;
        assert!(kills < 120, "the orders do not end");
    }
    ended.await.unwrap();
    assert_eq!(checked(&schema, &place).await, 2_000);
    assert!(kills >= 3, "{kills} kills tell nothing");
    println!("{kills} kills");
}

async fn count(schema: &Schema, query: &'static str, of: i64) -> i64 {
    let mut sql = schema.sql().await;
    sqlx::query_scalar(query).bind(of).fetch_one(&mut sql).await.unwrap()
}

const WRITER: &str = "select coalesce(max(writer), 0) from workers where process = $1";
const HELD: &str = "select count(*) from active where owner = $1";
const WRITTEN: &str = "select count(*) from history where writer = $1";
const OTHERS_WROTE: &str = "select count(*) from history where writer <> $1";
const LIVE: &str = "select count(*) from workers where process = $1 and live";

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_stopped_for_longer_than_its_lease_writes_nothing_more() {
    let Some(schema) = Schema::new() else { return };
    let place = Place::new();
    let client = schema.runtime().connect().await.unwrap();
    let zombie = Worker::start(&schema, &place);
    let process = i64::from(zombie.0.id());
    let runs = start(&client, 300).await;
    let writer = count(&schema, WRITER, process).await;
    while count(&schema, WRITTEN, writer).await < 20 {
        pause(5).await;
    }
    zombie.signal("-STOP");
    let held = count(&schema, HELD, writer).await;
    assert!(held > 0, "it had nothing in hand");
    let other = Worker::start(&schema, &place);
    let mut waited = 0;
    while count(&schema, HELD, writer).await > 0 {
        pause(20).await;
        waited += 20;
        assert!(waited <= 2 * LEASE + 500, "nobody took over within two leases");
    }
    let written = count(&schema, WRITTEN, writer).await;
    zombie.signal("-CONT");
    all_end(&runs).await;
    // It lives, as another writer.
    let mut waited = 0;
    while count(&schema, LIVE, process).await == 0 {
        pause(50).await;
        waited += 50;
        assert!(waited <= 10 * LEASE, "it does not begin anew");
    }
    assert_eq!(count(&schema, WRITTEN, writer).await, written, "a dead worker wrote");
    drop(other);
    // Alone, it works.
    let last = client.start(doubled(21)).await.unwrap();
    assert_eq!(last.result().within(Duration::from_secs(30)).await.unwrap(), 42);
    assert_eq!(checked(&schema, &place).await, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_a_workers_and_in_nobodys_memory_is_found() {
    let Some(schema) = Schema::new() else { return };
    let place = Place::new();
    let client = schema.runtime().connect().await.unwrap();
    let worker = Worker::start(&schema, &place);
    // The worker cannot claim it; then it is the worker's, and the worker does not
    // know: as if a claim's answer had been lost.
    let mut sql = schema.sql().await;
    let process = i64::from(worker.0.id());
    let writer: i64 = sqlx::query_scalar(WRITER).bind(process).fetch_one(&mut sql).await.unwrap();
    let mut transaction = sqlx::Connection::begin(&mut sql).await.unwrap();
    let locked = "select 1 from lanes where writer = $1 and lane = -1 for update";
    sqlx::query(locked).bind(writer).execute(&mut *transaction).await.unwrap();
    let run = client.start(doubled(4)).await.unwrap();
    let lost = "with lost as (select run from active where owner is null) \
                update active set owner = $1 from lost where active.run = lost.run";
    let lost = sqlx::query(lost).bind(writer).execute(&mut *transaction).await.unwrap();
    assert_eq!(lost.rows_affected(), 1);
    transaction.commit().await.unwrap();
    assert_eq!(run.result().within(Duration::from_secs(60)).await.unwrap(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_ends_in_good_order_frees_its_runs_at_once() {
    let Some(schema) = Schema::new() else { return };
    let place = Place::new();
    // A lease that would be waited for much longer than the test may take.
    let (world, lease) = (Arc::<World>::default(), Duration::from_secs(300));
    let build = || provided(schema.runtime(), &place, &world).lease(lease);
    let first = build().shutdown_grace(Duration::ZERO).build().await.unwrap();
    start(first.client(), 500).await;
    first.shutdown().await.unwrap();
    assert!(count(&schema, "select count(*) from active where run > $1", 0).await > 0);
    assert_eq!(count(&schema, "select count(*) from active where owner > $1", 0).await, 0);
    let second = build().build().await.unwrap();
    let ends = (0..500).map(|n| second.handle(order, format!("order-{n}")));
    all_end(&ends.collect::<Vec<_>>()).await;
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_under_which_the_schema_becomes_newer_stops_in_good_order() {
    let Some(schema) = Schema::new() else { return };
    let (place, world) = (Place::new(), Arc::<World>::default());
    let builder = provided(schema.runtime(), &place, &world).lease(Duration::from_secs(1));
    let runtime = builder.build().await.unwrap();
    runtime.start(order(1_999)).await.unwrap();
    let newer = "update counters set next = next + 1 where name = 'schema'";
    let mut sql = schema.sql().await;
    sqlx::query(newer).execute(&mut sql).await.unwrap();
    let mut stopped = false;
    for _ in 0..600 {
        pause(100).await;
        let owned = count(&schema, "select count(*) from active where owner > $1", 0).await;
        let live = count(&schema, LIVE, i64::from(std::process::id())).await;
        stopped = owned == 0 && live == 0;
        if stopped {
            break;
        }
    }
    assert!(stopped, "it goes on");
    assert_eq!(count(&schema, "select count(*) from active where due > $1", 0).await, 1);
    let error = runtime.start(doubled(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ShutDown);
    runtime.shutdown().await.unwrap();
    let Err(error) = provided(schema.runtime(), &place, &world).build().await else {
        panic!("an old build runs on a newer schema")
    };
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_blocks_every_thread_does_not_cost_its_worker_the_lease() {
    let Some(schema) = Schema::new() else { return };
    let place = Place::new();
    let client = schema.runtime().connect().await.unwrap();
    let worker = Worker::start(&schema, &place);
    let writer = count(&schema, WRITER, i64::from(worker.0.id())).await;
    let hogging = client.start(hogs(3 * LEASE)).await.unwrap();
    let _other = loop {
        if count(&schema, HELD, writer).await == 1 {
            break Worker::start(&schema, &place);
        }
        pause(5).await;
    };
    hogging.result().within(Duration::from_secs(30)).await.unwrap();
    assert_eq!(count(&schema, WRITER, i64::from(worker.0.id())).await, writer);
    assert_eq!(count(&schema, LIVE, i64::from(worker.0.id())).await, 1);
    assert_eq!(count(&schema, OTHERS_WROTE, writer).await, 0, "another worker ran it");
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_that_start_one_id_at_once_share_one_run() {
    let Some(schema) = Schema::new() else { return };
    let (place, world) = (Place::new(), Arc::<World>::default());
    let build = || provided(schema.runtime(), &place, &world).build();
    let runtimes = futures::future::join_all((0..4).map(|_| build()));
    let runtimes: Vec<_> = runtimes.await.into_iter().map(|one| one.unwrap()).collect();
    for round in 0..10 {
        let id = format!("raced-{round}");
        let starts = (0..12_u32).map(|n| {
            let runtime = runtimes[n as usize % 4].clone();
            let call = doubled(if n == 11 { 8 } else { 7 }).id(&id);
            async move { runtime.start(call).await }
        });
        let started = futures::future::join_all(starts).await;
        let mut results = Vec::new();
        for start in started {
            match start {
                Ok(run) => results.push(run.result().await.unwrap()),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
            }
        }
        assert!(results.len() == 11 || results.len() == 1, "{results:?}");
        assert!(results.iter().all(|result| *result == results[0]));
    }
    let mut sql = schema.sql().await;
    let rows = sqlx::query_scalar("select count(*) from runs").fetch_one(&mut sql).await;
    assert_eq!(rows.unwrap_or(0_i64), 10);
    for runtime in runtimes {
        runtime.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_that_make_the_schema_at_once_make_it_once() {
    let Some(schema) = Schema::new() else { return };
    let clients = (0..8).map(|_| schema.runtime().connect());
    for client in futures::future::join_all(clients).await {
        client.unwrap();
    }
    // Made by hand it is the same.
    let by_hand = Schema { name: format!("{}_by_hand", &schema.name[..20]), ..schema.clone() };
    let script = by_hand.runtime().schema_script().unwrap();
    let mut sql = schema.sql().await;
    let script = format!("begin;\n{script}\ncommit;");
    sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(&mut sql).await.unwrap();
    by_hand.runtime().connect().await.unwrap();
    // One that a newer build made is refused.
    let newer = "update counters set next = 99 where name = 'schema'";
    sqlx::query(newer).execute(&mut sql).await.unwrap();
    let error = schema.runtime().connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("schema version 99"), "{error}");
    let error = schema.runtime().schema("no-name").connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
}

/// As the guide to operations says.
const GRANTS: &str = "grant usage on schema {schema} to {role};
    grant select, insert, update, delete on all tables in schema {schema} to {role};
    grant usage on all sequences in schema {schema} to {role};";

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_make_tables_runs_workflows() {
    let Some(cluster) = cluster(&Settings::default()) else { return };
    let schema = Schema { url: cluster.url().to_owned(), name: "ours".to_owned() };
    let script = schema.runtime().schema_script().unwrap();
    let grants = GRANTS.replace("{schema}", "ours").replace("{role}", "app");
    let script = format!("begin;\n{script}\ncommit;\ncreate role app login;\n{grants}");
    let mut sql = schema.sql().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(&mut sql).await.unwrap();
    let of_app = Schema { url: schema.url.replace("postgres@", "app@"), ..schema };
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = provided(of_app.runtime(), &place, &world).build().await.unwrap();
    let run = runtime.start(order(1).id("order-1")).await.unwrap();
    run.result().await.unwrap();
    assert_eq!(run.cancel().await.unwrap(), CommandOutcome::AlreadyEnded);
    runtime.client().delete("order-1").await.unwrap();
    runtime.shutdown().await.unwrap();
    let other = Schema { name: "not_ours".to_owned(), ..of_app };
    let Err(error) = provided(other.runtime(), &place, &world).build().await else {
        panic!("it made a schema")
    };
    assert!(error.to_string().contains("may not do"), "{error}");
}

/// What the server was asked since it was asked to count, by others than the
/// test.
async fn statements(schema: &Schema) -> i64 {
    let text = "select coalesce(sum(calls), 0)::int8 from pg_stat_statements \
                where query not like '%pg_stat%'";
    let mut sql = schema.sql().await;
    sqlx::query_scalar(text).fetch_one(&mut sql).await.unwrap()
}

/// On a server of its own, which counts.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_asks_the_database_hardly_anything() {
    let more = vec!["shared_preload_libraries=pg_stat_statements".to_owned()];
    let Some(cluster) = cluster(&Settings { more, ..Settings::default() }) else { return };
    let schema = Schema { url: cluster.url().to_owned(), name: "idle".to_owned() };
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = provided(schema.runtime(), &place, &world).build().await.unwrap();
    let mut sql = schema.sql().await;
    sqlx::raw_sql(
        "create extension pg_stat_statements schema public; set search_path to idle, public;",
    )
    .execute(&mut sql)
    .await
    .unwrap();
    let schema_of = Schema { name: "idle, public".to_owned(), ..schema };
    for parked in [0, 10_000] {
        let (runs, active) = (
            "insert into runs (id, workflow, workflow_id, args, seed, decided, status, writer, created) \
             select 1000000 + n, 'doubled', 'parked-' || n, '[1]', 0, '[]', 0, 1, 0 \
             from generate_series(1, $1) as n",
            "insert into active (run, due) select 1000000 + n, 9000000000000 from generate_series(1, $1) as n",
        );
        sqlx::query(runs).bind(parked).execute(&mut sql).await.unwrap();
        sqlx::query(active).bind(parked).execute(&mut sql).await.unwrap();
        pause(1_000).await;
        let before = statements(&schema_of).await;
        pause(11_000).await;
        let asked = statements(&schema_of).await - before;
        assert!((4..=22).contains(&asked), "{asked} statements in 11 s with {parked} parked runs");
    }
    runtime.shutdown().await.unwrap();
}

/// On a server of its own, with a certificate of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_encrypted_and_the_server_is_who_it_says() {
    let settings = Settings { tls: true, ..Settings::default() };
    let Some(cluster) = cluster(&settings) else { return };
    let authority = cluster.authority().unwrap().display().to_string();
    let url = |host: &str, root: &str| {
        let port = cluster.port();
        format!("postgres://postgres@{host}:{port}/postgres?sslmode=verify-full&sslrootcert={root}")
    };
    let client = Runtime::builder(url("localhost", &authority)).connect().await.unwrap();
    client.close().await;
    let good = Schema { url: url("localhost", &authority), name: "workflow".to_owned() };
    let mut sql = good.sql().await;
    let encrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    assert!(sqlx::query_scalar::<_, bool>(encrypted).fetch_one(&mut sql).await.unwrap());
    // Another name than the certificate has, and an authority that nobody knows.
    let other = cluster.other_authority().unwrap().display().to_string();
    for wrong in [url("127.0.0.1", &authority), url("localhost", &other)] {
        let error = Runtime::builder(wrong).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_somebody_forgot_stops_nobody() {
    let Some(schema) = Schema::new() else { return };
    let place = Place::new();
    let client = schema.runtime().connect().await.unwrap();
    let _worker = Worker::start(&schema, &place);
    // No row that is deleted from now on can be removed.
    let mut forgotten = schema.sql().await;
    let begin = "begin isolation level repeatable read; select count(*) from active";
    sqlx::raw_sql(begin).execute(&mut forgotten).await.unwrap();
    let runs = start(&client, 500).await;
    all_end(&runs).await;
    assert_eq!(checked(&schema, &place).await, 500);
    sqlx::raw_sql("rollback").execute(&mut forgotten).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_while_it_makes_the_schema_leaves_all_of_it_or_nothing() {
    let mut chance = Chance::from_env("SCHEMA_SEED");
    let place = Place::new();
    for _ in 0..8 {
        let Some(schema) = Schema::new() else { return };
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        command.args([&schema.url, &schema.name]).arg(place.path("ledger")).arg("1000");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let worker = Worker(child.expect("a worker"));
        pause(chance.below(120)).await;
        drop(worker);
        let client = schema.runtime().connect().await.unwrap();
        client.start(doubled(1).id("it")).await.unwrap();
        let mut sql = schema.sql().await;
        let version = "select next from counters where name = 'schema'";
        assert_eq!(sqlx::query_scalar(version).fetch_one(&mut sql).await.unwrap_or(0_i64), 3);
    }
}
