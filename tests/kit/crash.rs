//! Crashes, faults of the store, a second worker.

use std::time::Duration;

use workflow_runtime::testing::{External, Plan, Point, Sim, simulate};
use workflow_runtime::{Failure, Result, step, workflow};

#[step]
async fn crash_charge(#[state] bank: &External<u64>, cents: u64) -> Result<u64> {
    let acted = bank.act(step::idempotency_key(), |total| {
        *total += cents;
        *total
    });
    acted.map_err(|lost| Failure::new(lost.to_string()))
}

#[workflow]
async fn crash_order(cents: u64) -> Result<u64> {
    let first = crash_charge(cents).await?;
    workflow::sleep(Duration::from_secs(3_600)).await;
    let second = crash_charge(1).await?;
    Ok(first + second)
}

fn bank(sim: &Sim) -> External<u64> {
    let bank: External<u64> = sim.external();
    sim.state(bank.clone());
    bank
}

#[workflow_runtime::test(crash = everywhere)]
async fn a_crash_anywhere_changes_nothing(sim: Sim) {
    let bank = bank(&sim);
    let run = sim.start(crash_order(500)).await;
    assert_eq!(run.result().await.unwrap(), 500 + 501);
    assert_eq!(bank.read(|total| *total), 501);
    assert!(sim.calls(crash_charge).len() <= 3, "one crash repeats one attempt at most");
}

#[workflow_runtime::test(
    crash = everywhere,
    schedules = 200,
    faults = [commit_error, reply_lost, slow_commit, zombie],
)]
async fn no_fault_of_the_store_loses_or_doubles_anything(sim: Sim) {
    let bank = bank(&sim);
    let runs = [sim.start(crash_order(500)).await, sim.start(crash_order(7)).await];
    for run in &runs {
        run.result().await.unwrap();
    }
    assert_eq!(bank.read(|total| *total), 500 + 7 + 2);
    assert_eq!(bank.acted(), 4);
}

#[workflow_runtime::test]
async fn a_crash_at_a_chosen_point_repeats_the_attempt_under_the_same_key(sim: Sim) {
    let bank = bank(&sim);
    sim.crash_at(Point::after_effect(crash_charge));
    let run = sim.start(crash_order(500)).await;
    assert_eq!(run.result().await.unwrap(), 1_001);
    let calls = sim.calls(crash_charge);
    assert_eq!(calls.len(), 3);
    assert_eq!(calls[0].idempotency_key, calls[1].idempotency_key);
    assert_eq!((calls[0].life, calls[1].life), (0, 1));
    assert_eq!((bank.asked(), bank.acted()), (3, 2));
}

#[workflow_runtime::test]
async fn a_crash_in_a_sleep_keeps_its_time(sim: Sim) {
    bank(&sim);
    let before = sim.now();
    let run = sim.start(crash_order(500)).await;
    sim.advance(Duration::from_secs(1_800)).await;
    sim.crash();
    run.result().await.unwrap();
    assert_eq!(sim.now().since(before), Duration::from_secs(3_600));
}

#[workflow_runtime::test]
async fn a_start_whose_process_ends_is_there_or_is_started_again(sim: Sim) {
    bank(&sim);
    sim.crash_at(Point::before_commit(1));
    sim.crash_at(Point::after_commit(2));
    let run = sim.start(crash_order(500)).await;
    assert_eq!(run.result().await.unwrap(), 1_001);
}

#[workflow_runtime::test]
async fn lost_replies_and_failed_commits_are_sent_again(sim: Sim) {
    let bank = bank(&sim);
    sim.lose_reply(1);
    sim.fail_commit(3);
    sim.slow_commit(5);
    bank.lose_replies(1);
    let failure = sim.start(crash_order(500)).await.result().await.unwrap_err();
    assert_eq!(failure.to_string(), "the reply was lost");
}

#[workflow_runtime::test]
async fn what_a_second_worker_took_over_the_first_cannot_write(sim: Sim) {
    let bank = bank(&sim);
    sim.fault(crash_charge).delays(Duration::from_secs(10)..Duration::from_secs(10));
    let run = sim.start(crash_order(500)).await;
    sim.advance(Duration::from_secs(5)).await;
    sim.second_worker();
    assert_eq!(run.result().await.unwrap(), 1_001);
    assert_eq!((bank.asked(), bank.acted()), (3, 2));
    assert!(sim.timeline().contains("Conflict"), "{}", sim.timeline());
}

#[workflow_runtime::test(store = sqlite, crash = everywhere)]
async fn the_same_on_a_sqlite_file(sim: Sim) {
    let bank = bank(&sim);
    let run = sim.start(crash_order(500)).await;
    assert_eq!(run.result().await.unwrap(), 500 + 501);
    assert_eq!(bank.read(|total| *total), 501);
}

#[step(semantics = at_most_once)]
async fn crash_once() -> Result<()> {
    Ok(())
}

#[workflow]
async fn crash_shielded() -> Result<String> {
    let once = workflow::shielded(crash_once()).await;
    Ok(once.map_or_else(|failure| format!("{:?}", failure.kind()), |()| "done".to_owned()))
}

#[workflow_runtime::test]
async fn what_runs_at_most_once_is_not_begun_again_behind_a_cancellation(sim: Sim) {
    sim.fault(crash_once).delays(Duration::from_secs(10)..Duration::from_secs(10));
    let run = sim.start(crash_shielded()).await;
    sim.advance(Duration::from_secs(1)).await;
    // The start, the intent, and then the cancellation: recovery finds it first.
    sim.crash_at(Point::before_commit(3));
    run.cancel().await.unwrap();
    let _ended = run.result().await;
    assert!(sim.timeline().contains("CRASH before commit 3"), "{}", sim.timeline());
    assert_eq!(sim.calls(crash_once).len(), 1, "{}", sim.timeline());
}

#[workflow]
async fn crash_cancelled_twice() -> Result<(bool, bool)> {
    let hour = Duration::from_secs(3_600);
    let first = workflow::cancellable(workflow::sleep(hour)).await;
    let second = workflow::cancellable(workflow::sleep(hour)).await;
    Ok((first.is_err(), second.is_err()))
}

#[workflow_runtime::test(crash = everywhere)]
async fn of_two_cancellations_at_one_moment_each_is_delivered_once(sim: Sim) {
    let run = sim.start(crash_cancelled_twice()).await;
    // While what the first one does is on its way.
    sim.slow_commit(2);
    run.cancel().await.unwrap();
    run.cancel().await.unwrap();
    assert_eq!(run.result().await.unwrap(), (true, true));
    let history = run.history().await.unwrap();
    let cancelled = history.events().iter().filter(|event| event.kind() == "cancelled");
    assert_eq!(cancelled.count(), 2);
}

#[test]
fn an_end_whose_answer_was_lost_on_a_process_that_was_taken_over_is_told() {
    // The process is taken over while it holds the run, ends it, and ends without the answer.
    let plan: Plan = "10c-12z-18l".parse().unwrap();
    let timeline = simulate(&plan, |sim| async move {
        let bank = bank(&sim);
        assert_eq!(sim.start(crash_order(500)).await.result().await.unwrap(), 1_001);
        assert_eq!(bank.acted(), 2);
        sim.timeline()
    });
    assert!(
        timeline.contains("ANOTHER PROCESS") && timeline.contains("ANSWER IS LOST"),
        "{timeline}"
    );
}
