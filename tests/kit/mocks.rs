//! Mocks, faults, spies, state.

use std::time::Duration;

use workflow_runtime::testing::{External, Sim};
use workflow_runtime::{Failure, FailureKind, Result, RetryPolicy, Status, step, workflow};

#[step(retry(attempts = 4, first = "1s", jitter = 0.0), timeout = "30s")]
async fn kit_pay(cents: u64, card: String) -> Result<String> {
    Ok(format!("{cents} from {card}"))
}

#[step]
async fn kit_ping() -> Result<()> {
    Ok(())
}

#[step]
async fn kit_ledger(#[state] bank: &External<u64>, cents: u64) -> Result<u64> {
    let acted = bank.act(step::idempotency_key(), |total| {
        *total += cents;
        *total
    });
    acted.map_err(|lost| Failure::new(lost.to_string()))
}

#[workflow]
async fn kit_order(cents: u64) -> Result<String> {
    kit_ping().await?;
    kit_pay(cents, "visa".to_owned()).await
}

#[workflow]
async fn kit_booking(cents: u64) -> Result<u64> {
    kit_ledger(cents).await
}

#[workflow_runtime::test]
async fn a_mock_gets_the_arguments_of_its_step(sim: Sim) {
    sim.mock(kit_ping, |()| Ok(()));
    sim.mock(kit_pay, |(cents, card)| Ok(format!("mock {cents} {card}")));
    let run = sim.start(kit_order(7)).await;
    assert_eq!(run.result().await.unwrap(), "mock 7 visa");
    assert_eq!(run.id(), "kit_order-1");
    let call = &sim.calls(kit_pay)[0];
    assert_eq!((call.args.clone(), call.attempt, call.life), ((7, "visa".to_owned()), 1, 0));
    assert_eq!(call.idempotency_key.len(), 32);
}

#[workflow_runtime::test]
async fn without_a_mock_the_real_body_answers(sim: Sim) {
    let pings = sim.spy(kit_ping);
    let run = sim.start(kit_order(7)).await;
    assert_eq!(run.result().await.unwrap(), "7 from visa");
    assert_eq!(pings.count(), 1);
}

#[workflow_runtime::test]
async fn failures_are_retried_in_virtual_time(sim: Sim) {
    sim.fault(kit_pay).fails(3);
    let run = sim.start(kit_order(7)).await;
    assert_eq!(run.result().await.unwrap(), "7 from visa");
    let calls = sim.calls(kit_pay);
    assert_eq!(calls.iter().map(|call| call.attempt).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(calls[3].at.since(calls[0].at), Duration::from_secs(1 + 2 + 4));
    assert!(calls.iter().all(|call| call.idempotency_key == calls[0].idempotency_key));
}

#[workflow_runtime::test]
async fn one_failure_too_many_is_the_workflows(sim: Sim) {
    sim.fault(kit_pay).fails(4);
    let failure = sim.start(kit_order(7)).await.result().await.unwrap_err();
    assert!(failure.to_string().contains("a fault of the test"), "{failure}");
}

#[step(retry(attempts = 3, first = "1h"))]
async fn kit_never() -> Result<()> {
    Err(Failure::new(format!("attempt {}", step::attempt())))
}

#[step]
async fn kit_once() -> Result<()> {
    Err(Failure::new(format!("attempt {}", step::attempt())))
}

#[step(retry(attempts = 9))]
async fn kit_finally() -> Result<()> {
    Err(Failure::new(format!("attempt {}", step::attempt())).into_final())
}

#[workflow]
async fn kit_fails(which: String) -> Result<()> {
    match which.as_str() {
        "never" => kit_never().await,
        "once" => kit_once().await,
        "final" => kit_finally().await,
        "call" => kit_once().retry(RetryPolicy::new(5)).await,
        other => Err(Failure::new(other)),
    }
}

#[workflow_runtime::test(crash = everywhere)]
async fn the_last_error_goes_to_the_workflow_when_no_attempt_is_left(sim: Sim) {
    for (which, attempts) in [("never", 3), ("once", 1), ("final", 1), ("call", 5)] {
        let run = sim.start(kit_fails(which.to_owned())).await;
        let failure = run.result().await.unwrap_err();
        assert_eq!(failure.to_string(), format!("attempt {attempts}"), "{which}");
        assert_eq!(failure.kind(), FailureKind::Raised);
        assert_eq!(run.status().await.unwrap(), Status::Failed);
    }
}

#[workflow_runtime::test]
async fn a_step_that_hangs_meets_its_timeout(sim: Sim) {
    sim.fault(kit_pay).hangs();
    let before = sim.now();
    let run = sim.start(kit_order(7)).await;
    assert_eq!(run.result().await.unwrap(), "7 from visa");
    assert_eq!(sim.now().since(before), Duration::from_secs(30 + 1));
}

#[workflow_runtime::test]
async fn a_step_that_panics_is_tried_again(sim: Sim) {
    sim.fault(kit_pay).panics();
    assert_eq!(sim.start(kit_order(7)).await.result().await.unwrap(), "7 from visa");
    assert_eq!(sim.calls(kit_pay).len(), 2);
}

#[workflow_runtime::test]
async fn a_delay_passes_in_virtual_time(sim: Sim) {
    sim.fault(kit_pay).delays(Duration::from_secs(20)..Duration::from_secs(25));
    let before = sim.now();
    sim.start(kit_order(7)).await.result().await.unwrap();
    assert_eq!(sim.now().since(before), Duration::from_secs(20));
}

#[workflow_runtime::test]
async fn a_mock_may_fail_by_its_own_will(sim: Sim) {
    let mut left = 2;
    sim.mock(kit_pay, move |_| {
        left -= 1;
        if left > 0 { Err(Failure::new("declined")) } else { Ok("paid".to_owned()) }
    });
    assert_eq!(sim.start(kit_order(7)).await.result().await.unwrap(), "paid");
}

#[workflow_runtime::test]
async fn steps_borrow_the_state_that_the_test_gives(sim: Sim) {
    let bank: External<u64> = sim.external();
    sim.state(bank.clone());
    assert_eq!(sim.start(kit_booking(30)).await.result().await.unwrap(), 30);
    assert_eq!(bank.read(|total| *total), 30);
}

#[workflow_runtime::test]
#[should_panic(expected = "give it with `sim.state(..)`, or mock the step")]
async fn state_that_nobody_gave_is_named(sim: Sim) {
    let _failed = sim.start(kit_booking(30)).await.result().await;
}

#[workflow_runtime::test]
async fn handles_cancel_and_read_as_in_production(sim: Sim) {
    sim.fault(kit_pay).hangs();
    let run = sim.start(kit_order(7).id("order-7")).await;
    sim.settle().await;
    run.cancel().because("no longer wanted").await.unwrap();
    let failure = run.result().await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Cancelled);
    let again = sim.handle(kit_order, "order-7");
    assert_eq!(again.history().await.unwrap().events().len(), 2);
}

#[workflow_runtime::test]
async fn a_test_may_return_an_error(sim: Sim) -> Result<()> {
    sim.start(kit_order(1)).await.result().await?;
    Ok(())
}
