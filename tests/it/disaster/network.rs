//! A network that cuts, delays and swallows.

use std::time::Duration;

use workflow_runtime::CommandOutcome;
use workflow_tests::chance::Chance;
use workflow_tests::checker::check_orders;
use workflow_tests::order::order;
use workflow_tests::proxy::{Cut, Proxy};
use workflow_tests::schema::Schema;
use workflow_tests::served::doubled;

use super::{Load, Scene, length, now};
use crate::fleet::{Worker, pause};

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
    let late = client.clone();
    let late = tokio::spawn(async move { late.start(order(1).id("order-1")).await });
    pause(30_000).await;
    let health = client.health();
    let trouble = health.trouble.as_ref().expect("the client does not know");
    assert!(trouble.lasts > Duration::from_secs(10), "{health:?}");
    assert!(health.oldest_waiting.is_some_and(|waits| waits > Duration::from_secs(10)));
    scene.proxy.dark(false);
    let begun = now();
    load.goes_on(1).await;
    late.await.unwrap().unwrap().result().await.unwrap();
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
async fn a_server_that_is_gone_without_a_word_is_left_for_another() {
    let Some(scene) = Scene::new(false).await else { return };
    // Another way to the same server stands for another server.
    let other = Proxy::to(scene.cluster.port()).await;
    let (one, two) = (scene.proxy.port(), other.port());
    let url = format!("postgres://postgres@127.0.0.1:{one},127.0.0.1:{two}/postgres");
    let schema = Schema { url, ..scene.schema() };
    let client = schema.runtime().connect().await.unwrap();
    let _workers: Vec<Worker> = (0..2).map(|_| Worker::start(&schema, &scene.place)).collect();
    let load = Load::on(&client);
    load.goes_on(40).await;
    scene.proxy.dark(true);
    let begun = now();
    load.goes_on(1).await;
    println!("goes on after {:?}", begun.elapsed());
    load.goes_on(40).await;
    // Three processes listen to the one that is there, too.
    let mut sql = scene.behind().sql().await;
    let listening = "select count(*) >= 6 from pg_stat_activity where query ilike 'listen %'";
    while !sqlx::query_scalar::<_, bool>(listening).fetch_one(&mut sql).await.unwrap() {
        pause(20).await;
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody listens any more");
    }
    // It never comes back.
    check_orders(&scene.behind(), &scene.place.path("ledger"), &load.end().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_answer_is_lost_was_given_once() {
    let Some(scene) = Scene::new(false).await else { return };
    let client = scene.schema().runtime().connect().await.unwrap();
    // Nobody runs them: each is cancelled or terminated where it waits.
    for n in 0..20 {
        let run = client.start(doubled(n).id(format!("run-{n}"))).await.unwrap();
        let (before, terminates) = (scene.proxy.cuts(), n % 2 == 0);
        let asked = tokio::spawn(async move {
            let by = "ada";
            match terminates {
                true => run.terminate().by(by).await,
                false => run.cancel().by(by).await,
            }
        });
        // The look for the run, the command, and what comes after it.
        while !asked.is_finished() {
            if scene.proxy.cuts() < before + 3 {
                scene.proxy.cut(u64::from(n), Cut::BeforeReply);
            }
            pause(1).await;
        }
        assert_eq!(asked.await.unwrap().unwrap(), CommandOutcome::Accepted, "run-{n}");
    }
    let mut sql = scene.behind().sql().await;
    let counts = "select count(*) from commands group by run";
    let counts = sqlx::query_scalar::<_, i64>(counts).fetch_all(&mut sql).await.unwrap();
    assert_eq!(counts, [1; 20]);
    let ended = "select count(*) from runs where status = 3";
    assert_eq!(sqlx::query_scalar(ended).fetch_one(&mut sql).await.unwrap_or(0_i64), 10);
}
