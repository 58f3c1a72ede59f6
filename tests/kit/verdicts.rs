//! What the kit finds without a word of the test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use workflow_runtime::testing::Sim;
use workflow_runtime::{Result, step, workflow};

#[step]
async fn verdict_note(text: String) -> Result<String> {
    Ok(text)
}

#[workflow(allow(WF008, reason = "a replay finds it, too"))]
#[expect(clippy::disallowed_types, reason = "its order is what is found")]
async fn verdict_hashes() -> Result<u32> {
    let all: std::collections::HashMap<String, u32> =
        (0..20).map(|n| (format!("k{n}"), n)).collect();
    for key in all.into_keys() {
        verdict_note(key).await?;
    }
    Ok(1)
}

static STARTED: AtomicU64 = AtomicU64::new(0);

#[workflow(allow(WF009, reason = "a replay finds it, too"))]
async fn verdict_static() -> Result<u64> {
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    verdict_note("same".to_owned()).await?;
    Ok(number)
}

#[workflow]
async fn verdict_panics() -> Result<u64> {
    let none: Vec<u64> = Vec::new();
    Ok(none[0])
}

#[step]
async fn verdict_leaves() -> Result<()> {
    tokio::spawn(std::future::pending::<()>());
    Ok(())
}

#[workflow]
async fn verdict_leaving() -> Result<()> {
    verdict_leaves().await
}

#[workflow_runtime::test]
#[should_panic(expected = "an argument comes from a hash map, a clock or chance")]
async fn the_order_of_a_hash_map_does_not_replay(sim: Sim) {
    sim.start(verdict_hashes()).await.result().await.unwrap();
}

#[workflow_runtime::test]
#[should_panic(expected = "the result depends on something that is not in the history")]
async fn a_result_from_a_static_does_not_replay(sim: Sim) {
    sim.start(verdict_static()).await.result().await.unwrap();
}

#[workflow_runtime::test]
#[should_panic(expected = "the test waits for something that never happens")]
async fn a_blocked_run_ends_the_test_and_not_its_patience(sim: Sim) {
    let _never = sim.start(verdict_panics()).await.result().await;
}

#[workflow_runtime::test]
async fn a_blocked_run_may_be_what_the_test_is_about(sim: Sim) {
    sim.allow_blocked();
    let run = sim.start(verdict_panics()).await;
    sim.settle().await;
    let blocked = run.blocked().await.unwrap().expect("it is blocked");
    assert!(blocked.message().contains("panicked"), "{blocked}");
}

#[workflow_runtime::test]
#[should_panic(expected = "1 tasks that the test or its steps spawned still run")]
async fn tasks_that_are_left_over_are_counted(sim: Sim) {
    sim.start(verdict_leaving()).await.result().await.unwrap();
}

#[workflow_runtime::test]
#[should_panic(expected = "the test waits for something that never happens")]
async fn waiting_for_nothing_is_found(sim: Sim) {
    sim.advance(Duration::from_secs(1)).await;
    std::future::pending::<()>().await;
}
