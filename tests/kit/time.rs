//! Virtual time.

use std::time::Duration;

use workflow_runtime::testing::Sim;
use workflow_runtime::{Result, step, workflow};

#[step]
async fn charge(cents: u64) -> Result<String> {
    Ok(format!("charged {cents}"))
}

#[workflow]
async fn free_trial(cents: u64) -> Result<String> {
    workflow::sleep(Duration::from_secs(30 * 86_400)).await;
    charge(cents).await
}

#[workflow_runtime::test]
async fn thirty_days_pass_at_once(sim: Sim) {
    let before = sim.now();
    sim.mock(charge, |cents| Ok(format!("mocked {cents}")));
    let run = sim.start(free_trial(500)).await;
    assert_eq!(run.result().await.unwrap(), "mocked 500");
    let calls = sim.calls(charge);
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].args, 500);
    assert_eq!(calls[0].at.since(before), Duration::from_secs(30 * 86_400));
    assert!(sim.timeline().contains("30d 00:00:00.000  run    charge(500)"));
}
