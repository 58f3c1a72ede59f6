//! What is not found: workflows that read nothing, steps, and what somebody
//! answers for.

use std::backtrace::Backtrace;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use workflow_runtime::testing::{External, Sim};
use workflow_runtime::{Result, step, workflow};

use crate::helpers;

/// As most that write a log, it reads a clock for each line.
struct WithTimes;

static LINES: AtomicU64 = AtomicU64::new(0);

impl Subscriber for WithTimes {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(helpers::instant())
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target().starts_with("sanitize") {
            LINES.fetch_add(helpers::system_time(), Ordering::Relaxed);
        }
    }

    fn enter(&self, _: &Id) {
        helpers::instant();
    }

    fn exit(&self, _: &Id) {
        helpers::instant();
    }
}

#[step]
async fn silent_all(of: String) -> Result<u64> {
    let read = helpers::instant() + helpers::system_time() + helpers::uuid();
    let asked = helpers::variable() + helpers::file() + helpers::connection() + helpers::thread();
    Ok(read + asked + of.len() as u64)
}

#[step]
async fn silent_pay(#[state] bank: &External<u64>, cents: u64) -> Result<u64> {
    bank.act(step::idempotency_key(), |total| *total += cents).ok();
    Ok(cents)
}

/// Everything that a workflow may do.
#[workflow]
#[expect(clippy::disallowed_types, reason = "its keys draw chance, and nobody sees them")]
async fn silent_pure(cents: u64) -> Result<String> {
    let names = std::collections::HashMap::from([("a", 1_u64), ("b", 2)]);
    let sorted: BTreeMap<String, u64> = (0..9).map(|n| (format!("k{n}"), n)).collect();
    tracing::info!(?sorted, at = %workflow::now(), "begins");
    let (one, other) = futures::future::join(silent_pay(names["a"]), silent_pay(cents)).await;
    let later = workflow::spawn(async move {
        workflow::sleep(Duration::from_secs(86_400)).await;
        workflow::random::<u64>() & 1
    });
    let late = workflow::timeout(Duration::from_secs(1), workflow::sleep(Duration::MAX)).await;
    let drawn = later.await;
    tracing::info!(late = late.is_err(), "goes on");
    let parsed: u64 = "17".parse()?;
    let failed = Backtrace::force_capture().to_string().contains("silent_pure");
    Ok(format!("{} {} {parsed} {failed} {}", one? + other?, drawn < 2, workflow::uuid()))
}

#[workflow]
async fn silent_steps(name: String) -> Result<u64> {
    silent_all(name).await
}

#[workflow]
async fn silent_vouched() -> Result<u64> {
    let began = workflow::nondeterministic!("only logged", helpers::instant());
    let number = vouched_by_a_helper();
    silent_pay(began + number).await?;
    // The early way out of one leaves nothing behind.
    let missing = workflow::nondeterministic!("only logged", helpers::file().checked_sub(2));
    let reads = std::future::poll_fn(|_cx| Poll::Ready(helpers::system_time()));
    Ok(number * workflow::assume_durable(reads).await + missing.unwrap_or(1))
}

/// In a function that no check sees it says the same.
fn vouched_by_a_helper() -> u64 {
    workflow::nondeterministic!("it is 1 in each replay", helpers::variable())
}

/// What follows is watched again.
#[workflow]
async fn silent_and_then_not() -> Result<u64> {
    let one = workflow::nondeterministic!("it is 1 in each replay", helpers::instant());
    Ok(one + helpers::file())
}

#[workflow_runtime::test(crash = everywhere, schedules = 20)]
async fn a_workflow_that_reads_nothing_is_let_be(sim: Sim) {
    // Only the first of all schedules sets it.
    tracing::subscriber::set_global_default(WithTimes).ok();
    let before = LINES.load(Ordering::Relaxed);
    let bank: External<u64> = sim.external();
    sim.state(bank);
    let text = sim.start(silent_pure(4)).await.result().await.unwrap();
    assert!(text.starts_with("5 true 17 true "), "{text}");
    assert!(LINES.load(Ordering::Relaxed) >= before + 2, "the log was written");
}

#[workflow_runtime::test]
async fn a_step_may_do_all_of_it(sim: Sim) {
    assert_eq!(sim.start(silent_steps("a".to_owned())).await.result().await.unwrap(), 8);
}

#[workflow_runtime::test]
async fn the_test_itself_may_do_all_of_it(sim: Sim) {
    sim.mock(silent_all, |_name| Ok(helpers::instant() + helpers::uuid()));
    let run = sim.start(silent_steps("a".to_owned())).await;
    assert_eq!(run.result().await.unwrap() + helpers::file() + helpers::thread(), 4);
}

#[workflow_runtime::test]
async fn what_somebody_answers_for_is_let_be(sim: Sim) {
    sim.state(sim.external::<u64>());
    assert_eq!(sim.start(silent_vouched()).await.result().await.unwrap(), 2);
}

#[workflow_runtime::test]
#[should_panic(expected = "workflow `silent_and_then_not` opens a file")]
async fn what_follows_is_watched_again(sim: Sim) {
    sim.start(silent_and_then_not()).await.result().await.unwrap();
}
