//! Changed code meets runs in flight. `VERSION` stands for the deploy: nothing
//! else of a workflow may depend on such a thing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use workflow_runtime::{Blocked, BlockedKind, Handle, Result, Runtime, Status, step, workflow};
use workflow_tests::Place;

use crate::steps::{World, builder};

static VERSION: AtomicU32 = AtomicU32::new(1);
/// The version is the process's: one test of this file at a time.
static ONE: Mutex<()> = Mutex::const_new(());

fn version() -> u32 {
    VERSION.load(Ordering::SeqCst)
}

#[step]
async fn pay(#[state] world: &World, who: String) -> Result<String> {
    world.count();
    if version() == 1 {
        std::future::pending::<()>().await;
    }
    Ok(format!("paid {who}"))
}

#[step]
async fn prepare(who: String) -> Result<String> {
    Ok(who)
}

#[step]
async fn audit(#[state] world: &World) -> Result<()> {
    world.count();
    Ok(())
}

/// Version 2 swaps the arguments of the two calls; 3 inserts a step before
/// them; 4 is 1 again.
#[workflow]
async fn settle() -> Result<String> {
    let who = prepare("alice".into()).await?;
    if version() == 3 {
        audit().await?;
    }
    let (first, second) = if version() == 2 { ("bob", &*who) } else { (&*who, "bob") };
    let (a, b) = tokio::join!(pay(first.into()), pay(second.into()));
    Ok(format!("{}, {}", a?, b?))
}

async fn life(place: &Place, world: &Arc<World>, version: u32) -> Runtime {
    VERSION.store(version, Ordering::SeqCst);
    builder(place, world)
        .build_id(format!("build {version}"))
        .shutdown_grace(Duration::ZERO)
        .build()
        .await
        .unwrap()
}

/// Runs version 1 until both payments are in flight, then dies.
async fn in_flight(place: &Place, world: &Arc<World>) {
    let runtime = life(place, world, 1).await;
    runtime.start(settle().id("s")).await.unwrap();
    while world.bodies() < 2 {
        tokio::task::yield_now().await;
    }
    runtime.shutdown().await.unwrap();
}

async fn report(run: &Handle<String>) -> Blocked {
    loop {
        if let Some(report) = run.blocked().await.unwrap() {
            return report;
        }
        assert!(!run.status().await.unwrap().is_ended());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn swapped_arguments_and_inserted_steps_are_reported_before_anything_runs() {
    let _one = ONE.lock().await;
    let cases = [
        (2, "step pay(\"alice\")   step pay(\"bob\")", "in another order"),
        (3, "step pay(\"alice\")   step audit()", "`audit` stands where `pay` was"),
    ];
    for (changed, side_by_side, cause) in cases {
        let (place, world) = (Place::new(), Arc::<World>::default());
        in_flight(&place, &world).await;
        let second = life(&place, &world, changed).await;
        let run = second.handle(settle, "s");
        let report = report(&run).await;
        assert_eq!(report.kind(), BlockedKind::Mismatch);
        let text = report.to_string();
        assert!(text.contains(side_by_side) && text.contains(cause), "{text}");
        assert!(text.contains("deploy.rs:") && text.contains("Nothing was executed"), "{text}");
        assert_eq!(report.build(), format!("build {changed}"));
        assert_eq!((world.bodies(), run.history().await.unwrap().events().len()), (2, 1));
        second.shutdown().await.unwrap();
        // The same build does not try again; the fixed one goes on.
        let same = life(&place, &world, changed).await;
        assert_eq!(same.handle(settle, "s").status().await.unwrap(), Status::Blocked);
        same.shutdown().await.unwrap();
        let fixed = life(&place, &world, 4).await;
        let run = fixed.handle(settle, "s");
        assert_eq!(run.result().await.unwrap(), "paid alice, paid bob");
        assert!(run.blocked().await.unwrap().is_none());
        assert_eq!(world.bodies(), 4, "two bodies in the first life, two in the last");
    }
}

#[workflow(name = "renamed-now", was = "renamed_before")]
async fn renamed() -> Result<String> {
    relabelled().await
}

#[step(name = "relabelled-now", was = ["first", "relabelled_before"])]
async fn relabelled() -> Result<String> {
    Ok("went on".to_owned())
}

#[tokio::test]
async fn a_run_in_flight_survives_a_rename_that_is_said() {
    let _one = ONE.lock().await;
    let (place, world) = (Place::new(), Arc::<World>::default());
    let first = life(&place, &world, 1).await;
    first.start(settle().id("s")).await.unwrap();
    while world.bodies() < 2 {
        tokio::task::yield_now().await;
    }
    first.shutdown().await.unwrap();
    // As if the run were one of `renamed_before` with its step in flight.
    let mut sql = place.sql().await;
    let decided = "update runs set workflow = 'renamed_before', decided = replace(replace(replace(
        decided, 'prepare', 'relabelled_before'), '[\"alice\"]', '[]'), $1, $2)";
    let hash: String = sqlx::query_scalar("select json_extract(decided, '$[0].hash') from runs")
        .fetch_one(&mut sql)
        .await
        .unwrap();
    // The first half of SHA-256 of `[]`.
    sqlx::query(decided).bind(hash).bind("4f53cda18c2baa0c").execute(&mut sql).await.unwrap();
    sqlx::query("delete from history").execute(&mut sql).await.unwrap();
    let second = life(&place, &world, 4).await;
    let run = second.handle(renamed, "s");
    assert_eq!(run.result().await.unwrap(), "went on");
}

#[workflow]
async fn falls_over() -> Result<String> {
    let text = prepare("text".into()).await?;
    assert!(version() != 2, "version 2 cannot do this");
    Ok(text)
}

#[tokio::test]
async fn a_blocked_run_goes_on_with_the_fix_and_its_steps_do_not_run_again() {
    let _one = ONE.lock().await;
    let (place, world) = (Place::new(), Arc::<World>::default());
    let broken = life(&place, &world, 2).await;
    let run = broken.start(falls_over().id("f")).await.unwrap();
    assert!(report(&run).await.to_string().contains("version 2 cannot do this"));
    broken.shutdown().await.unwrap();
    let fixed = life(&place, &world, 4).await;
    let run = fixed.handle(falls_over, "f");
    assert_eq!(run.result().await.unwrap(), "text");
    let history = run.history().await.unwrap();
    let kinds: Vec<_> = history.events().iter().map(workflow_runtime::HistoryEvent::kind).collect();
    assert_eq!(kinds, ["step", "begun"], "the step has one event");
}
