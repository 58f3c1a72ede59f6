//! Time and chance, in virtual time.

use std::collections::BTreeSet;
use std::time::Duration;

use workflow_runtime::testing::Sim;
use workflow_runtime::{Result, Timestamp, step, workflow};

const DAY: Duration = Duration::from_secs(86_400);

#[step]
async fn charge(cents: u64) -> Result<String> {
    Ok(format!("charged {cents}"))
}

#[workflow]
async fn free_trial(cents: u64) -> Result<String> {
    workflow::sleep(30 * DAY).await;
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
    assert_eq!(calls[0].at.since(before), 30 * DAY);
    assert!(sim.timeline().contains("30d 00:00:00.000  run    charge(500)"));
}

#[workflow_runtime::test]
async fn a_hundred_years_pass_too(sim: Sim) {
    let before = sim.now();
    let run = sim.start(century()).await;
    run.result().await.unwrap();
    assert_eq!(sim.now().since(before), 36_500 * DAY);
}

#[workflow]
async fn century() -> Result<()> {
    for _ in 0..10 {
        workflow::sleep(3_650 * DAY).await;
    }
    Ok(())
}

#[step]
async fn slow(time: Duration) -> Result<()> {
    pause(time).await;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "it is virtual")]
async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

#[workflow]
async fn bounded(time: Duration) -> Result<bool> {
    Ok(workflow::timeout(Duration::from_secs(60), slow(time)).await.is_ok())
}

#[workflow_runtime::test]
async fn a_branch_can_be_bounded(sim: Sim) {
    let fast = sim.start(bounded(Duration::from_secs(59))).await;
    assert!(fast.result().await.unwrap());
    let late = sim.start(bounded(Duration::from_secs(61))).await;
    assert!(!late.result().await.unwrap());
}

#[step]
async fn echo(text: String) -> Result<String> {
    Ok(text)
}

#[workflow]
async fn draws() -> Result<Vec<String>> {
    let mut all = Vec::new();
    for _ in 0..2 {
        all.push(echo(workflow::uuid().to_string()).await?);
        // Long enough to leave memory: what follows is drawn in a replay.
        workflow::sleep(DAY).await;
        all.push(echo(workflow::random::<u64>().to_string()).await?);
    }
    Ok(all)
}

#[workflow]
async fn times() -> Result<(Timestamp, Timestamp)> {
    let before = workflow::now();
    workflow::sleep_until(before + DAY).await;
    Ok((before, workflow::now()))
}

#[workflow_runtime::test(crash = everywhere)]
async fn time_and_chance_are_the_same_in_every_life(sim: Sim) {
    let drawn = sim.start(draws()).await.result().await.unwrap();
    assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), 4);
    assert_eq!(drawn[0].len(), 36);
    let (before, after) = sim.start(times()).await.result().await.unwrap();
    assert_eq!(after.since(before), DAY);
}

/// A crash costs the step the time it had: it may miss its bound.
#[workflow_runtime::test(crash = everywhere, result = may_differ)]
async fn a_bound_holds_across_crashes(sim: Sim) {
    let before = sim.now();
    sim.start(bounded(Duration::from_secs(40))).await.result().await.unwrap();
    assert!(sim.now().since(before) <= Duration::from_secs(60));
}

#[workflow_runtime::test(crash = everywhere)]
#[should_panic(expected = "a crash changes the result of run `bounded-1`")]
async fn a_result_that_a_crash_changes_is_found(sim: Sim) {
    let _either = sim.start(bounded(Duration::from_secs(40))).await.result().await;
}
