//! The right checkout, tested in every way.

use std::time::Duration;

use checkout_tests::{ask_for_review, charge, checkout, ship};
use proptest::prelude::{ProptestConfig, any, proptest};
use workflow_runtime::testing::{External, Plan, Sim, plans, replay_tests, simulate};
use workflow_runtime::{Failure, FailureKind, step};

#[workflow_runtime::test(record = "checkout")]
async fn asks_for_a_review_after_two_weeks(sim: Sim) {
    let before = sim.now();
    sim.mock(charge, |cents| Ok(format!("receipt for {cents}")));
    let run = sim.start(checkout(7, 500)).await;
    assert_eq!(run.result().await.unwrap(), "receipt for 500");
    let asked = &sim.calls(ask_for_review)[0];
    assert_eq!(asked.at.since(before), Duration::from_secs(14 * 86_400));
}

#[workflow_runtime::test]
async fn a_card_that_fails_twice_is_charged_at_last(sim: Sim) {
    sim.fault(charge).fails(2);
    sim.start(checkout(7, 500)).await.result().await.unwrap();
    assert_eq!(sim.calls(charge).len(), 3);
}

#[workflow_runtime::test]
async fn a_declined_card_ships_nothing(sim: Sim) {
    sim.mock(charge, |_cents| Err(Failure::new("declined").into_final()));
    let failure = sim.start(checkout(7, 500)).await.result().await.unwrap_err();
    assert_eq!(failure.to_string(), "declined");
    assert!(sim.calls(ship).is_empty());
}

#[workflow_runtime::test]
async fn a_cancelled_order_asks_for_nothing(sim: Sim) {
    let run = sim.start(checkout(7, 500)).await;
    sim.advance(Duration::from_secs(3_600)).await;
    run.cancel().by("ana").await.unwrap();
    assert_eq!(run.result().await.unwrap_err().kind(), FailureKind::Cancelled);
    assert!(sim.calls(ask_for_review).is_empty());
}

/// The card is charged once, wherever the process ends, in whatever order
/// things happen, and whatever befalls the database.
#[workflow_runtime::test(
    crash = everywhere,
    schedules = 100,
    faults = [commit_error, reply_lost, slow_commit, zombie],
)]
async fn charges_once_whatever_happens(sim: Sim) {
    let bank = charged_by_key(&sim);
    sim.start(checkout(7, 500)).await.result().await.unwrap();
    assert_eq!(bank.read(|total| *total), 500);
}

#[workflow_runtime::test(store = sqlite)]
async fn the_same_on_a_real_database(sim: Sim) {
    let bank = charged_by_key(&sim);
    sim.start(checkout(7, 500)).await.result().await.unwrap();
    assert_eq!(bank.read(|total| *total), 500);
}

/// A bank that charges once for each key.
fn charged_by_key(sim: &Sim) -> External<u64> {
    let bank: External<u64> = sim.external();
    let bank_of = bank.clone();
    sim.mock(charge, move |cents| {
        let charged = bank_of.act(step::idempotency_key(), |total| {
            *total += cents;
            "receipt".to_owned()
        });
        charged.map_err(|lost| Failure::new(lost.to_string()))
    });
    bank
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn any_amount_under_any_plan_is_charged_once(cents in 1..1_000_u64, plan in plans(0..3)) {
        let total = simulate(&plan, move |sim| async move {
            let bank = charged_by_key(&sim);
            sim.start(checkout(7, cents)).await.result().await.unwrap();
            bank.read(|total| *total)
        });
        assert_eq!(total, cents);
    }

    #[test]
    fn every_order_number_is_shipped(order in any::<u32>()) {
        let shipped = simulate(&Plan::default(), move |sim| async move {
            sim.start(checkout(order, 500)).await.result().await.unwrap();
            sim.calls(ship)[0].args
        });
        assert_eq!(shipped, order);
    }
}

// What the builds before this one wrote, this one can go on with.
replay_tests!("tests/histories/*.json");
