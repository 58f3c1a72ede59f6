//! A pooler between the workers and the database.

use std::sync::Arc;
use std::time::Duration;

use workflow_runtime::{CommandOutcome, FailureKind, Filter};
use workflow_test_postgres::pooler;
use workflow_tests::chance::Chance;
use workflow_tests::checker::{check_no_fork, check_orders};
use workflow_tests::proxy::Cut;
use workflow_tests::served::{long_one, long_sleep};

use super::{Load, Scene, all_end, now};
use crate::fleet::pause;
use crate::steps::{World, provided};

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
    all_end(&scene.behind()).await;
    check_no_fork(&scene.behind(), &scene.place.path("ledger")).await;
    worker.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_in_another_process_is_seen_soon_behind_a_pooler_too() {
    let Some(scene) = Scene::new(false).await else { return };
    let Some(pooler) = pooler(&scene.cluster) else { return };
    scene.proxy.lead_to(pooler.port());
    let (world, schema) = (Arc::<World>::default(), scene.schema());
    let builder = provided(schema.runtime(), &scene.place, &world);
    let worker = builder.transaction_pooler().build().await.unwrap();
    let client = schema.runtime().transaction_pooler().connect().await.unwrap();
    let file = scene.place.path("go on");
    let run = client.start(long_one(21, file.clone())).await.unwrap();
    let waits = tokio::spawn(async move { run.result().await });
    // By itself a waiting handle looks after 1, 3, 7 and 15 seconds.
    pause(8_000).await;
    std::fs::write(&file, "").unwrap();
    let begun = now();
    assert_eq!(waits.await.unwrap().unwrap(), 42);
    assert!(begun.elapsed() < Duration::from_secs(4), "seen after {:?}", begun.elapsed());
    worker.shutdown().await.unwrap();
}
