//! Owners, schemas, damage, shutdown.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Executor as _;
use workflow_runtime::{ErrorKind, Result, Runtime, step, workflow};
use workflow_tests::Place;

use crate::client::gated;
use crate::steps::{World, builder, runtime};

#[tokio::test]
async fn a_second_owner_is_refused_also_in_the_same_process() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let first = runtime(&place, &world).await;
    let error = builder(&place, &world).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Owned);
    assert!(error.to_string().contains("test.db has an owner"), "{error}");
    let other = Command::new(env!("CARGO_BIN_EXE_victim"))
        .args(["three"])
        .args([place.path("test.db"), place.path("ledger")])
        .output()
        .unwrap();
    assert!(!other.status.success());
    assert!(String::from_utf8_lossy(&other.stderr).contains("has an owner"));
    first.shutdown().await.unwrap();
    runtime(&place, &world).await.shutdown().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn one_file_has_one_owner_whatever_links_lead_to_it() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let first = runtime(&place, &world).await;
    std::os::unix::fs::symlink(place.path("test.db"), place.path("link.db")).unwrap();
    let error = workflow_tests::runtime(&place.path("link.db"))
        .shared_state(world)
        .state(workflow_tests::Ledger::open(&place.path("ledger")))
        .shared_state(crate::forms::loud())
        .build()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Owned);
    first.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_refused_in_words() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    runtime(&place, &world).await.shutdown().await.unwrap();
    place.sql().await.execute("pragma user_version = 7").await.unwrap();
    let error = builder(&place, &world).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("schema version 7"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let text = "this is a diary, and no database at all".repeat(50);
    std::fs::write(place.path("test.db"), &text).unwrap();
    let error = builder(&place, &world).build().await.unwrap_err();
    assert!(error.to_string().contains("test.db"), "{error}");
    assert_eq!(std::fs::read_to_string(place.path("test.db")).unwrap(), text);
}

#[tokio::test]
async fn many_processes_may_open_a_new_file_at_once() {
    let place = Place::new();
    let children: Vec<_> = (0..8)
        .map(|_| {
            Command::new(env!("CARGO_BIN_EXE_victim"))
                .args(["three"])
                .args([place.path("test.db"), place.path("ledger")])
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let ended: Vec<_> =
        children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    let done = ended.iter().filter(|output| output.status.success()).count();
    assert!(done >= 1, "{ended:?}");
    for output in ended.iter().filter(|output| !output.status.success()) {
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(words.contains("has an owner"), "{words}");
    }
    assert_eq!(workflow_tests::lines(&place.path("ledger")).len(), 3);
}

#[step]
async fn note(#[state] world: &World, text: String) -> Result<String> {
    world.count();
    Ok(text)
}

#[workflow]
async fn two_notes(name: String) -> Result<String> {
    let first = note(name.clone()).await?;
    let gate = gate().await?;
    Ok(first + &gate)
}

#[step]
async fn gate(#[state] world: &World) -> Result<String> {
    if world.broken.load(std::sync::atomic::Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    Ok("!".to_owned())
}

#[tokio::test]
async fn the_report_of_a_damaged_run_stands_in_the_view_for_people() {
    // More, and on every database: damage.rs.
    let damages = [
        ("update history set payload = '{broken' where run = $1", "recorded result of `note`"),
        ("update runs set workflow = 'gone' where id = $1", "no workflow of its name"),
    ];
    for (damage, words) in damages {
        let (place, world) = (Place::new(), Arc::<World>::default());
        world.broken.store(true, std::sync::atomic::Ordering::SeqCst);
        let first = builder(&place, &world)
            .shutdown_grace(Duration::from_millis(50))
            .build()
            .await
            .unwrap();
        for name in ["good", "bad"] {
            let run = first.start(two_notes(name.to_owned()).id(name)).await.unwrap();
            while run.history().await.unwrap().events().is_empty() {
                tokio::task::yield_now().await;
            }
        }
        first.shutdown().await.unwrap();
        let mut sql = place.sql().await;
        let number: i64 = sqlx::query_scalar("select id from runs where workflow_id = 'bad'")
            .fetch_one(&mut sql)
            .await
            .unwrap();
        sqlx::query(damage).bind(number).execute(&mut sql).await.unwrap();

        world.broken.store(false, std::sync::atomic::Ordering::SeqCst);
        let runtime = runtime(&place, &world).await;
        assert_eq!(runtime.handle(two_notes, "good").result().await.unwrap(), "good!");
        let report = report_of(&place, "bad").await;
        assert!(report.contains(words), "{damage}: {report}");
        assert!(!report.contains("panicked"), "{damage}: {report}");
    }
}

/// Waits until a run is set aside; the report as people read it.
async fn report_of(place: &Place, id: &str) -> String {
    let mut sql = place.sql().await;
    loop {
        let query = "select status, report from workflows where id = $1";
        let (status, report): (String, Option<String>) =
            sqlx::query_as(query).bind(id).fetch_one(&mut sql).await.unwrap();
        match status.as_str() {
            "blocked" => return report.expect("a report"),
            "completed" | "failed" => panic!("it ended: {status}"),
            _ => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn shutdown_lets_running_steps_finish_and_records_them() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let first = runtime(&place, &world).await;
    let run = first.start(gated().id("g")).await.unwrap();
    world.reached.notified().await;
    let shutdown = tokio::spawn(async move { first.shutdown().await });
    world.gate.notify_one();
    shutdown.await.unwrap().unwrap();
    drop(run);
    let runtime = runtime(&place, &world).await;
    // It ended in the first life: the gate is not asked again.
    assert_eq!(runtime.handle(gated, "g").result().await.unwrap(), "through");
}

#[tokio::test]
async fn shutdown_cancels_no_workflow_and_takes_nothing_new() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let grace = Duration::from_millis(20);
    let first = builder(&place, &world).shutdown_grace(grace).build().await.unwrap();
    let run = first.start(gated().id("g")).await.unwrap();
    world.reached.notified().await;
    first.shutdown().await.unwrap();
    first.shutdown().await.unwrap();
    let refused = first.start(gated().id("h")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ShutDown);
    drop(run);
    let runtime = runtime(&place, &world).await;
    world.gate.notify_one();
    assert_eq!(runtime.handle(gated, "g").result().await.unwrap(), "through");
}

#[tokio::test]
async fn a_wait_for_a_result_ends_with_the_runtime() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let grace = Duration::from_millis(20);
    let runtime = builder(&place, &world).shutdown_grace(grace).build().await.unwrap();
    let run = runtime.start(gated().id("g")).await.unwrap();
    let by_id = runtime.handle(gated, "g");
    let waits = [
        tokio::spawn(async move { run.result().await }),
        tokio::spawn({
            let by_id = by_id.clone();
            async move { by_id.result().await }
        }),
    ];
    world.reached.notified().await;
    runtime.shutdown().await.unwrap();
    for wait in waits {
        let failure = wait.await.unwrap().unwrap_err();
        assert_eq!(failure.kind(), workflow_runtime::FailureKind::Unfinished);
    }
    let late = by_id.result().await.unwrap_err();
    assert_eq!(late.kind(), workflow_runtime::FailureKind::Unfinished);
}

#[tokio::test]
async fn missing_state_is_refused_by_name() {
    let place = Place::new();
    let error = place.runtime().build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let text = error.to_string();
    assert!(text.contains("needs state") && text.contains(".rs:"), "{text}");
}

#[tokio::test]
async fn the_memory_store_runs_the_same_workflows() {
    let world = Arc::<World>::default();
    let ledger = workflow_tests::Ledger::open(&Place::new().path("ledger"));
    let builder = Runtime::builder("memory:")
        .shared_state(world)
        .state(ledger)
        .shared_state(crate::forms::loud());
    let runtime = builder.build().await.unwrap();
    let run = runtime.start(two_notes("m".to_owned())).await.unwrap();
    assert_eq!(run.result().await.unwrap(), "m!");
    runtime.shutdown().await.unwrap();
}
