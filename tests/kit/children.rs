//! Children: awaited, started, cancelled, abandoned, waited for.

use std::time::Duration;

use workflow_runtime::testing::Sim;
use workflow_runtime::{Failure, FailureKind, OnParentEnd, Result, Status, step, workflow};

#[derive(Debug, PartialEq, thiserror::Error, serde::Serialize, serde::Deserialize)]
enum KitchenError {
    #[error("no flour for {0}")]
    NoFlour(u32),
    #[error("{0}")]
    Runtime(String),
}

impl From<Failure> for KitchenError {
    fn from(failure: Failure) -> Self {
        Self::Runtime(format!("{:?}", failure.kind()))
    }
}

#[step]
async fn child_bakes(n: u32) -> Result<u32> {
    Ok(n * 2)
}

#[workflow]
async fn child_pizza(n: u32) -> Result<u32, KitchenError> {
    if n == 13 {
        return Err(KitchenError::NoFlour(n));
    }
    workflow::sleep(Duration::from_secs(60)).await;
    Ok(child_bakes(n).await?)
}

#[workflow]
async fn child_awaited(n: u32) -> Result<u32, KitchenError> {
    let one = child_pizza(n).await?;
    Ok(one + child_bakes(1).await?)
}

#[workflow_runtime::test(
    crash = everywhere,
    schedules = 60,
    faults = [commit_error, reply_lost, slow_commit, zombie],
)]
async fn an_awaited_child_runs_once_and_gives_its_result(sim: Sim) {
    let run = sim.start(child_awaited(4).id("p")).await;
    assert_eq!(run.result().await.unwrap(), 10);
    let child = sim.handle(child_pizza, "p/child_pizza-0");
    assert_eq!(child.status().await.unwrap(), Status::Completed);
}

#[workflow_runtime::test(crash = everywhere)]
async fn the_error_of_a_child_comes_back_as_the_same_variant(sim: Sim) {
    let run = sim.start(child_awaited(13)).await;
    assert_eq!(run.result().await.unwrap_err(), KitchenError::NoFlour(13));
}

#[workflow]
async fn child_handles() -> Result<Vec<u32>, KitchenError> {
    let first = workflow::start(child_pizza(1));
    let second = workflow::start(child_pizza(2).id("second").meta("table", "7"));
    assert_eq!(second.id(), "second");
    let (first, second) = tokio::join!(first, second);
    Ok(vec![first?, second?])
}

#[workflow_runtime::test(crash = everywhere)]
async fn children_that_are_started_run_beside_each_other(sim: Sim) {
    let before = sim.now();
    let run = sim.start(child_handles().meta("tenant", "a")).await;
    assert_eq!(run.result().await.unwrap(), [2, 4]);
    assert!(sim.now().since(before) < Duration::from_secs(120));
    let meta = sim.handle(child_pizza, "second").meta().await.unwrap();
    assert_eq!((&*meta["tenant"], &*meta["table"]), ("a", "7"));
}

#[workflow]
async fn child_raced() -> Result<String, KitchenError> {
    workflow::select! {
        baked = child_pizza(1) => Ok(baked?.to_string()),
        () = workflow::sleep(Duration::from_secs(5)) => Ok("gave up".to_owned()),
    }
}

#[workflow_runtime::test(crash = everywhere)]
async fn a_child_that_loses_a_race_is_cancelled(sim: Sim) {
    let run = sim.start(child_raced().id("r")).await;
    assert_eq!(run.result().await.unwrap(), "gave up");
    let child = sim.handle(child_pizza, "r/child_pizza-0");
    assert_eq!(child.result().await.unwrap_err(), KitchenError::Runtime("Cancelled".into()));
}

#[workflow]
async fn child_left(what: u32) -> Result<String> {
    let policy = match what {
        0 => OnParentEnd::Cancel,
        1 => OnParentEnd::Abandon,
        _ => OnParentEnd::Wait,
    };
    drop(workflow::start(child_pizza(5).id(format!("left-{what}")).on_parent_end(policy)));
    Ok("ended".to_owned())
}

#[workflow_runtime::test(crash = everywhere)]
async fn the_end_of_the_parent_cancels_abandons_or_waits_for_its_children(sim: Sim) {
    let began = sim.now();
    for what in 0..3 {
        let run = sim.start(child_left(what).id(format!("parent-{what}"))).await;
        let child = sim.handle(child_pizza, format!("left-{what}"));
        assert_eq!(run.result().await.unwrap(), "ended");
        let waited = sim.now().since(began) >= Duration::from_secs(60);
        if what < 2 {
            assert!(!waited, "{what}");
        }
        let result = child.result().await;
        match what {
            0 => assert_eq!(result.unwrap_err(), KitchenError::Runtime("Cancelled".into())),
            _ => assert_eq!(result.unwrap(), 10),
        }
        if what == 1 {
            // The others begin after it.
            sim.advance(Duration::from_secs(1)).await;
        }
    }
    assert!(sim.now().since(began) >= Duration::from_secs(120));
}

#[workflow]
async fn child_takes_an_id() -> Result<String, KitchenError> {
    match child_pizza(1).id("taken").await {
        Ok(_) => Ok("it ran".to_owned()),
        Err(KitchenError::Runtime(why)) => Ok(why),
        Err(other) => Err(other),
    }
}

#[workflow_runtime::test(crash = everywhere)]
async fn an_id_that_is_taken_is_an_outcome_and_not_the_end(sim: Sim) {
    sim.start(child_pizza(7).id("taken")).await;
    let run = sim.start(child_takes_an_id()).await;
    assert_eq!(run.result().await.unwrap(), "Undelivered");
    assert_eq!(sim.handle(child_pizza, "taken").result().await.unwrap(), 14);
}

#[workflow_runtime::test(crash = everywhere)]
async fn cancelling_the_parent_cancels_its_children(sim: Sim) {
    let run = sim.start(child_awaited(4).id("p")).await;
    sim.advance(Duration::from_secs(5)).await;
    run.cancel().await.unwrap();
    assert_eq!(run.result().await.unwrap_err(), KitchenError::Runtime("Cancelled".into()));
    let child = sim.handle(child_pizza, "p/child_pizza-0");
    assert_eq!(child.result().await.unwrap_err(), KitchenError::Runtime("Cancelled".into()));
}

#[workflow]
async fn child_of_itself(depth: u32) -> Result<u32> {
    if depth == 0 {
        return Ok(0);
    }
    Ok(1 + Box::pin(child_of_itself(depth - 1)).await?)
}

#[workflow_runtime::test]
async fn a_workflow_may_be_its_own_child_however_deep(sim: Sim) {
    let run = sim.start(child_of_itself(40).id("x".repeat(300))).await;
    assert_eq!(run.result().await.unwrap(), 40);
}

#[workflow]
async fn child_cancelled_alone() -> Result<String> {
    let child = workflow::start(child_pizza(3).id("alone"));
    match child.await {
        Ok(n) => Ok(n.to_string()),
        Err(error) => Ok(error.to_string()),
    }
}

#[workflow_runtime::test(crash = everywhere)]
async fn a_child_that_is_cancelled_is_an_outcome_for_its_parent(sim: Sim) {
    let run = sim.start(child_cancelled_alone()).await;
    sim.advance(Duration::from_secs(5)).await;
    sim.handle(child_pizza, "alone").cancel().await.unwrap();
    assert_eq!(run.result().await.unwrap(), "Cancelled");
}

#[workflow_runtime::test]
async fn a_call_of_a_workflow_outside_of_one_says_what_to_do(sim: Sim) {
    drop(sim);
    let failure = child_cancelled_alone().await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::OutsideWorkflow);
    assert!(failure.to_string().contains("client.start(child_cancelled_alone(..))"), "{failure}");
}
