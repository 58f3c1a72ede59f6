//! Starting, finding, attaching.

#![allow(clippy::disallowed_types, reason = "a hash map is written in another order each time")]

use std::sync::Arc;
use std::time::Duration;

use workflow_runtime::{ErrorKind, FailureKind, Result, Status, step, workflow};
use workflow_tests::Place;

use crate::steps::{World, builder, runtime};

#[step]
async fn add(#[state] world: &World, a: u32, b: u32) -> Result<u32> {
    world.count();
    Ok(a + b)
}

#[workflow]
async fn sum(a: u32, b: u32) -> Result<u32> {
    add(a, b).await
}

#[workflow]
async fn other_sum(a: u32, b: u32) -> Result<u32> {
    add(a, b).await
}

#[workflow(name = "map-of")]
async fn takes_a_map(map: std::collections::HashMap<String, u32>) -> Result<usize> {
    Ok(map.len())
}

#[tokio::test]
async fn the_same_id_workflow_and_arguments_attach() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    for _ in 0..3 {
        let run = runtime.start(sum(1, 2).id("s")).await.unwrap();
        assert_eq!((run.id(), run.result().await.unwrap()), ("s", 3));
    }
    assert_eq!(world.bodies(), 1);
    // A map is written in another order each time; it is the same map.
    let map = || (0..50).map(|n| (n.to_string(), n)).collect::<std::collections::HashMap<_, _>>();
    for _ in 0..5 {
        let run = runtime.start(takes_a_map(map()).id("m")).await.unwrap();
        assert_eq!(run.result().await.unwrap(), 50);
    }
}

#[tokio::test]
async fn anything_else_under_a_taken_id_is_a_typed_conflict() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    runtime.start(sum(1, 2).id("s")).await.unwrap().result().await.unwrap();
    let arguments = runtime.start(sum(1, 3).id("s")).await.unwrap_err();
    assert_eq!(arguments.kind(), ErrorKind::Conflict);
    let text = arguments.to_string();
    assert!(text.contains("[1,2]") && text.contains("[1,3]"), "{text}");
    let workflow = runtime.start(other_sum(1, 2).id("s")).await.unwrap_err();
    assert_eq!(workflow.kind(), ErrorKind::Conflict);
    assert!(workflow.to_string().contains("of `sum`"), "{workflow}");
    assert_eq!(world.bodies(), 1);
}

#[tokio::test]
async fn many_starters_of_one_id_share_one_run() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = builder(&place, &world).workflow_threads(2).build().await.unwrap();
    let starters = (0..20).map(|_| {
        let runtime = runtime.clone();
        tokio::spawn(async move { runtime.start(sum(4, 5).id("one")).await?.result().await })
    });
    for starter in starters.collect::<Vec<_>>() {
        assert_eq!(starter.await.unwrap().unwrap(), 9);
    }
    assert_eq!(world.bodies(), 1);
}

#[tokio::test]
async fn a_run_started_right_after_build_runs_once() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    for round in 1..=30 {
        let runtime = runtime(&place, &world).await;
        let runs: Vec<_> =
            futures::future::join_all((0..4).map(|_| runtime.start(sum(1, 1)))).await;
        for run in runs {
            assert_eq!(run.unwrap().result().await.unwrap(), 2);
        }
        runtime.shutdown().await.unwrap();
        assert_eq!(world.bodies(), round * 4);
    }
}

#[tokio::test]
async fn a_handle_reads_results_status_and_history_by_id() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let first = runtime(&place, &world).await;
    first.start(sum(1, 2).id("s")).await.unwrap().result().await.unwrap();
    first.shutdown().await.unwrap();
    // In another life.
    let runtime = runtime(&place, &world).await;
    let run = runtime.handle(sum, "s");
    assert_eq!(run.result().await.unwrap(), 3);
    assert_eq!(run.status().await.unwrap(), Status::Completed);
    let history = run.history().await.unwrap();
    assert_eq!((history.workflow(), history.id()), ("sum", "s"));
    let [event] = history.events() else { panic!("{history}") };
    assert_eq!((event.kind(), event.name(), event.payload()), ("step", "add", Some("{\"ok\":3}")));
    assert!(history.to_string().contains("add"));
}

#[tokio::test]
async fn what_does_not_exist_is_said_to_be_missing() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.handle(sum, "nobody");
    let failure = run.result().await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::NotFound);
    assert!(failure.to_string().contains("`nobody` of `sum`"), "{failure}");
    assert_eq!(run.status().await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(run.history().await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_handle_sees_no_run_of_another_workflow() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    runtime.start(sum(1, 2).id("s")).await.unwrap().result().await.unwrap();
    let failure = runtime.handle(gated, "s").result().await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::NotFound);
}

#[tokio::test]
async fn a_wait_can_be_bounded_and_the_run_goes_on() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(gated().id("g")).await.unwrap();
    let failure = run.result().within(Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Unfinished);
    assert_eq!(run.status().await.unwrap(), Status::Running);
    world.gate.notify_one();
    assert_eq!(run.result().await.unwrap(), "through");
}

#[step]
async fn wait_for_gate(#[state] world: &World) -> Result<String> {
    world.reached.notify_one();
    world.gate.notified().await;
    Ok("through".to_owned())
}

#[workflow]
pub(crate) async fn gated() -> Result<String> {
    wait_for_gate().await
}

#[tokio::test]
async fn dropping_handles_stops_nothing() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    drop(runtime.start(sum(2, 2).id("d")).await.unwrap());
    assert_eq!(runtime.handle(sum, "d").result().await.unwrap(), 4);
}
