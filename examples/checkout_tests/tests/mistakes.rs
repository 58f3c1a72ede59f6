//! Each mistake, and the kind of test that finds it, with what it says.

use std::sync::Arc;

use checkout_tests::mistakes::{
    Payments, dated_invoice, invoice, invoice_of_many, pay, pay_within_a_minute, sum_of_two,
};
use proptest::prop_assert_eq;
use proptest::test_runner::{TestError, TestRunner};
use workflow_runtime::testing::{Sim, plans, replay_file, simulate};

fn payments(sim: &Sim) -> Arc<Payments> {
    let payments = Arc::new(Payments::default());
    sim.shared_state(Arc::clone(&payments));
    payments
}

#[workflow_runtime::test]
#[should_panic(expected = "the result depends on something that is not in the history")]
async fn a_plain_test_finds_state_in_a_static(sim: Sim) {
    sim.start(invoice()).await.result().await.unwrap();
}

#[workflow_runtime::test]
#[should_panic(expected = "an argument comes from a hash map, a clock or chance")]
async fn a_plain_test_finds_the_order_of_a_hash_map(sim: Sim) {
    sim.start(invoice_of_many()).await.result().await.unwrap();
}

#[workflow_runtime::test]
#[should_panic(expected = "an argument comes from a hash map, a clock or chance")]
async fn a_plain_test_finds_a_clock_in_a_helper(sim: Sim) {
    sim.start(dated_invoice()).await.result().await.unwrap();
}

#[workflow_runtime::test(crash = everywhere)]
#[should_panic(expected = "CRASH after charge_without_key of `pay-1`")]
async fn crash_points_find_a_step_that_is_not_idempotent(sim: Sim) {
    let payments = payments(&sim);
    sim.start(pay(500)).await.result().await.unwrap();
    assert_eq!(payments.total(), 500, "charged exactly once");
}

#[workflow_runtime::test(schedules = exhaustive(1_000))]
#[should_panic(expected = "an update is lost")]
async fn all_orders_find_a_lost_update(sim: Sim) {
    let sum = sim.start(sum_of_two()).await.result().await.unwrap();
    assert_eq!(sum, 300, "an update is lost");
}

#[workflow_runtime::test(schedules = exhaustive(1_000))]
#[should_panic(expected = "time passes first")]
async fn all_orders_find_a_timer_that_races_with_a_step(sim: Sim) {
    let payments = payments(&sim);
    let said = sim.start(pay_within_a_minute(500)).await.result().await.unwrap();
    let charged = payments.total() > 0;
    assert_eq!(said == "paid", charged, "it says `{said}`");
}

#[workflow_runtime::test(schedules = 200, faults = [zombie])]
#[should_panic(expected = "ANOTHER PROCESS takes over")]
async fn faults_find_a_step_that_relies_on_its_commit(sim: Sim) {
    let payments = payments(&sim);
    sim.start(pay(500)).await.result().await.unwrap();
    assert_eq!(payments.total(), 500, "charged exactly once");
}

#[test]
fn a_plan_that_fails_shrinks_to_the_one_fault_that_matters() {
    let mut runner = TestRunner::deterministic();
    let found = runner.run(&plans(0..4), |plan| {
        let total = simulate(&plan, |sim| async move {
            let payments = payments(&sim);
            sim.start(pay(500)).await.result().await.unwrap();
            payments.total()
        });
        prop_assert_eq!(total, 500, "charged exactly once");
        Ok(())
    });
    let Err(TestError::Fail(reason, plan)) = found else { panic!("no plan fails: {found:?}") };
    assert!(reason.message().contains("charged exactly once"), "{reason}");
    assert_eq!(plan.size(), 1, "{plan}");
}

#[test]
#[should_panic(expected = "`enlist` stands where `welcome` was")]
fn an_old_history_finds_an_incompatible_change() {
    replay_file("tests/old/subscribe.json", include_str!("old/subscribe.json"));
}
