//! Runs that end and go on as their next generation.

use std::time::Duration;

use workflow_runtime::testing::Sim;
use workflow_runtime::{FailureKind, Result, Status, step, workflow};

#[step]
async fn bill(month: u32) -> Result<u64> {
    Ok(u64::from(month) * 10)
}

#[workflow]
async fn restart_subscription(month: u32, billed: u64) -> Result<u64> {
    if month == 5 {
        return Ok(billed);
    }
    workflow::sleep(Duration::from_secs(30 * 86_400)).await;
    let billed = billed + bill(month).await?;
    workflow::restart_with(restart_subscription(month + 1, billed)).await
}

#[workflow_runtime::test(crash = everywhere)]
async fn a_run_restarts_again_and_again_and_no_crash_repeats_a_generation(sim: Sim) {
    let run = sim.start(restart_subscription(1, 0)).await;
    assert_eq!(run.result().await.unwrap(), 10 + 20 + 30 + 40);
    assert!(sim.calls(bill).len() <= 5, "one crash repeats one attempt at most");
}

#[workflow_runtime::test(
    schedules = 200,
    faults = [commit_error, reply_lost, slow_commit, zombie],
)]
async fn no_fault_of_the_store_loses_or_doubles_a_generation(sim: Sim) {
    let runs =
        [sim.start(restart_subscription(2, 0)).await, sim.start(restart_subscription(3, 0)).await];
    assert_eq!(runs[0].result().await.unwrap(), 20 + 30 + 40);
    assert_eq!(runs[1].result().await.unwrap(), 30 + 40);
}

#[workflow_runtime::test]
async fn each_generation_has_keys_of_its_own_and_the_same_id(sim: Sim) {
    let run = sim.start(restart_subscription(3, 0).id("sub-7")).await;
    run.result().await.unwrap();
    assert_eq!((run.id(), run.status().await.unwrap()), ("sub-7", Status::Completed));
    let calls = sim.calls(bill);
    assert_eq!(calls.len(), 2);
    assert_ne!(calls[0].idempotency_key, calls[1].idempotency_key);
    // The last generation only began and returned.
    assert_eq!(run.history().await.unwrap().events().len(), 1);
}

#[workflow_runtime::test(crash = everywhere)]
async fn a_cancellation_reaches_the_generation_that_is_at_work(sim: Sim) {
    let run = sim.start(restart_subscription(1, 0)).await;
    sim.advance(Duration::from_secs(70 * 86_400)).await;
    run.cancel().await.unwrap();
    let failure = run.result().await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Cancelled);
    assert!(sim.calls(bill).iter().all(|call| call.args <= 2));
}

#[step]
async fn forever() -> Result<u64> {
    std::future::pending::<()>().await;
    Ok(0)
}

#[workflow]
async fn restart_beside_a_step(again: bool) -> Result<u64> {
    if !again {
        return Ok(7);
    }
    let waits = async {
        workflow::sleep(Duration::from_secs(1)).await;
        workflow::restart_with(restart_beside_a_step(false)).await
    };
    let (never, step): (u64, Result<u64>) = tokio::join!(waits, forever());
    Ok(never + step?)
}

#[workflow_runtime::test(crash = everywhere)]
async fn what_else_the_generation_waits_for_is_dropped(sim: Sim) {
    let run = sim.start(restart_beside_a_step(true)).await;
    assert_eq!(run.result().await.unwrap(), 7);
}

#[workflow]
async fn restart_while_cancelled(round: u32) -> Result<u32> {
    if round == 2 {
        return Ok(round);
    }
    let undone = workflow::cancellable(workflow::sleep(Duration::from_secs(3_600))).await;
    if undone.is_err() {
        // It decides for itself what a cancellation means.
        workflow::restart_with(restart_while_cancelled(round + 1)).await;
    }
    Ok(0)
}

#[workflow_runtime::test(crash = everywhere)]
async fn code_that_took_its_cancellation_may_restart(sim: Sim) {
    let run = sim.start(restart_while_cancelled(1)).await;
    sim.advance(Duration::from_secs(60)).await;
    run.cancel().await.unwrap();
    assert_eq!(run.result().await.unwrap(), 2);
}
