//! A server that crashes, runs out of disk, or comes back older than it was.

use std::sync::Arc;
use std::time::Duration;

use workflow_tests::checker::{check_no_fork, check_orders};
use workflow_tests::disk::{Disk, skip};

use super::{Load, Scene, all_end, length, now};
use crate::fleet::{Worker, pause};
use crate::steps::{World, provided};

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
    let (started, mut round) = (now(), 0);
    while round < 3 || started.elapsed() < length() {
        round += 1;
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
    all_end(&scene.behind()).await;
    let orders = check_no_fork(&scene.behind(), &scene.place.path("ledger")).await;
    assert!(orders > 100, "{orders} orders tell nothing");
    for worker in workers {
        worker.shutdown().await.unwrap();
    }
}
