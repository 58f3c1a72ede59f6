//! Retries, timeouts, failures, panics: what a workflow gets from a step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use workflow_runtime::{
    BlockedKind, Failure, FailureKind, Result, Runtime, Status, step, workflow,
};
use workflow_tests::{Ledger, Place};

use crate::forms::loud;

/// What the steps of this binary borrow.
#[derive(Default, Debug)]
pub(crate) struct World {
    pub(crate) bodies: AtomicU32,
    pub(crate) gate: Notify,
    pub(crate) reached: Notify,
    pub(crate) broken: std::sync::atomic::AtomicBool,
    /// How many steps run, and the most there were.
    pub(crate) running: std::sync::Mutex<(i32, i32)>,
    pub(crate) notes: std::sync::Mutex<Vec<String>>,
}

impl World {
    pub(crate) fn count(&self) -> u32 {
        self.bodies.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn bodies(&self) -> u32 {
        self.bodies.load(Ordering::SeqCst)
    }
}

/// A runtime of this binary: every step that is linked has its state.
pub(crate) fn builder(place: &Place, world: &Arc<World>) -> workflow_runtime::Builder {
    provided(place.runtime(), place, world)
}

/// With the state of every step that is linked.
pub(crate) fn provided(
    builder: workflow_runtime::Builder,
    place: &Place,
    world: &Arc<World>,
) -> workflow_runtime::Builder {
    let ledger = Ledger::open(&place.path("ledger"));
    builder.shared_state(Arc::clone(world)).state(ledger).shared_state(loud())
}

pub(crate) async fn runtime(place: &Place, world: &Arc<World>) -> Runtime {
    builder(place, world).build().await.unwrap()
}

#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
enum ShopError {
    #[error("sold out after {0}")]
    SoldOut(u32),
    #[error("busy")]
    Busy,
    #[error("{0}")]
    Runtime(String),
}

impl From<Failure> for ShopError {
    fn from(failure: Failure) -> Self {
        Self::Runtime(format!("{:?}: {failure}", failure.kind()))
    }
}

fn is_busy(error: &ShopError) -> bool {
    *error == ShopError::Busy
}

#[step(retry(attempts = 4, first = "1ms", max = "2ms"))]
async fn third_time(#[state] world: &World) -> Result<u32> {
    let body = world.count();
    assert_eq!(step::attempt(), body);
    if body < 3 { Err(Failure::new(format!("no {body}"))) } else { Ok(body) }
}

#[workflow]
async fn until_it_works() -> Result<u32> {
    third_time().await
}

#[tokio::test]
async fn a_step_is_tried_until_it_works_and_is_one_event() {
    let (place, world) = (Place::new(), Arc::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(until_it_works()).await.unwrap();
    assert_eq!(run.result().await.unwrap(), 3);
    assert_eq!(run.history().await.unwrap().events().len(), 1);
    let left: i64 = sqlx::query_scalar("select count(*) from attempts")
        .fetch_one(&mut place.sql().await)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[step(retry(attempts = 9, first = "1ms", if = is_busy))]
async fn busy_then_sold_out(#[state] world: &World) -> Result<(), ShopError> {
    match world.count() {
        1 | 2 => Err(ShopError::Busy),
        body => Err(ShopError::SoldOut(body)),
    }
}

#[workflow]
async fn shop() -> Result<(), ShopError> {
    busy_then_sold_out().await
}

#[tokio::test]
async fn the_predicate_decides_and_a_typed_error_comes_back_as_itself() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(shop().id("s")).await.unwrap();
    assert_eq!(run.result().await.unwrap_err(), ShopError::SoldOut(3));
    let again = runtime.handle(shop, "s");
    assert_eq!(again.result().await.unwrap_err(), ShopError::SoldOut(3));
}

#[workflow]
async fn details() -> Result<()> {
    Ok(busy_then_sold_out().await?)
}

#[tokio::test]
async fn a_failure_made_from_a_typed_error_keeps_its_details() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let failure = runtime.start(details()).await.unwrap().result().await.unwrap_err();
    assert_eq!(failure.details::<ShopError>(), Some(ShopError::SoldOut(3)));
    assert_eq!(failure.to_string(), "sold out after 3");
}

#[step(timeout = "20ms", retry(attempts = 2, first = "1ms"))]
async fn hangs(#[state] world: &World) -> Result<()> {
    world.count();
    std::future::pending::<()>().await;
    Ok(())
}

#[step(retry(attempts = 2, first = "1ms"))]
async fn panics(#[state] world: &World) -> Result<()> {
    let body = world.count();
    panic!("body {body} fell over");
}

#[workflow]
async fn hangs_or_panics(hang: bool) -> Result<()> {
    if hang { hangs().await } else { panics().await }
}

#[tokio::test]
async fn timeouts_and_panics_are_failed_attempts() {
    for (hang, kind, words) in [
        (true, FailureKind::TimedOut, "stopped after its timeout of 20ms"),
        (false, FailureKind::Panicked, "body 2 fell over"),
    ] {
        let (place, world) = (Place::new(), Arc::<World>::default());
        let runtime = runtime(&place, &world).await;
        let run = runtime.start(hangs_or_panics(hang)).await.unwrap();
        let failure = run.result().await.unwrap_err();
        assert_eq!((failure.kind(), world.bodies()), (kind, 2));
        assert!(failure.to_string().contains(words), "{failure}");
    }
}

fn falls_over(_: &Failure) -> bool {
    panic!("the predicate fell over");
}

#[step(retry(attempts = 9, first = "1ms", if = falls_over))]
async fn badly_judged(#[state] world: &World) -> Result<u32> {
    Err(Failure::new(format!("body {}", world.count())))
}

#[workflow]
async fn judged() -> Result<u32> {
    badly_judged().await
}

#[tokio::test]
async fn a_predicate_that_panics_ends_the_step_and_nothing_else() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let others = futures::future::join_all((0..8).map(|_| runtime.start(misplaced(0)))).await;
    let run = runtime.start(judged()).await.unwrap();
    let failure = run.result().await.unwrap_err();
    assert_eq!((failure.kind(), world.bodies()), (FailureKind::Panicked, 1));
    for other in others {
        assert!(other.unwrap().result().await.is_err(), "a step in a step");
    }
}

#[step(retry(attempts = 2, first = "1ms", max = "1ms"))]
async fn asks_for_patience(#[state] world: &World) -> Result<u32> {
    match world.count() {
        1 => Err(Failure::new("later").retry_after(Duration::from_millis(400))),
        body => Ok(body),
    }
}

#[workflow]
async fn patient() -> Result<bool> {
    let before = workflow::now();
    asks_for_patience().await?;
    Ok(workflow::now().since(before) >= Duration::from_millis(400))
}

#[tokio::test]
async fn a_failure_can_ask_for_a_later_attempt() {
    let (place, world) = (Place::new(), Arc::default());
    let runtime = runtime(&place, &world).await;
    assert!(runtime.start(patient()).await.unwrap().result().await.unwrap());
}

#[step(retry(attempts = 5, first = "1h"))]
async fn slow_to_retry(#[state] world: &World) -> Result<u32> {
    world.count();
    Err(Failure::new(format!("attempt {}", step::attempt())))
}

#[workflow]
async fn waits_for_a_retry() -> Result<u32> {
    slow_to_retry().await
}

#[tokio::test]
async fn the_count_and_the_last_error_survive_restarts() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    for attempt in 1..=5_u32 {
        let runtime =
            builder(&place, &world).park_after(Duration::from_millis(1)).build().await.unwrap();
        let run = runtime.start(waits_for_a_retry().id("r")).await.unwrap();
        if attempt == 5 {
            assert_eq!(run.result().await.unwrap_err().to_string(), "attempt 5");
            break;
        }
        // Parked in its back-off: the attempt is recorded.
        while run.status().await.unwrap() != Status::Waiting {
            tokio::task::yield_now().await;
        }
        runtime.shutdown().await.unwrap();
        let mut sql = place.sql().await;
        let (number, error): (i64, String) = sqlx::query_as("select attempt, error from attempts")
            .fetch_one(&mut sql)
            .await
            .unwrap();
        assert_eq!((number, error), (i64::from(attempt), format!("attempt {attempt}")));
        // An hour passes.
        let due = "update attempts set retry_at = 0";
        sqlx::query(due).execute(&mut sql).await.unwrap();
        sqlx::query("update active set due = 0").execute(&mut sql).await.unwrap();
    }
    assert_eq!(world.bodies(), 5);
}

/// Encodes, but does not read back.
#[derive(Debug, Serialize)]
struct OneWay(u32);

impl<'de> Deserialize<'de> for OneWay {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("one way only"))
    }
}

#[step(retry(attempts = 5, first = "1ms"))]
async fn not_a_number(#[state] world: &World) -> Result<f64> {
    world.count();
    Ok(f64::NAN)
}

#[step(retry(attempts = 5, first = "1ms"))]
async fn odd_keys(#[state] world: &World) -> Result<std::collections::BTreeMap<Vec<u8>, u8>> {
    world.count();
    Ok([(vec![1], 1)].into())
}

#[step(retry(attempts = 5, first = "1ms"))]
async fn one_way(#[state] world: &World) -> Result<OneWay> {
    Ok(OneWay(world.count()))
}

#[step(retry(attempts = 5, first = "1ms"))]
async fn huge(#[state] world: &World) -> Result<String> {
    world.count();
    Ok("x".repeat(2_000))
}

#[workflow]
async fn cannot_be_stored(which: u32) -> Result<()> {
    match which {
        0 => not_a_number().await.map(|_| ()),
        1 => odd_keys().await.map(|_| ()),
        2 => one_way().await.map(|_| ()),
        _ => huge().await.map(|_| ()),
    }
}

#[tokio::test]
async fn a_result_that_cannot_be_stored_is_a_recorded_failure_that_names_the_step() {
    let steps = ["not_a_number", "odd_keys", "one_way", "huge"];
    for (which, name) in (0..).zip(steps) {
        let (place, world) = (Place::new(), Arc::<World>::default());
        let runtime = builder(&place, &world).max_payload(1_000).build().await.unwrap();
        let run = runtime.start(cannot_be_stored(which)).await.unwrap();
        let failure = run.result().await.unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Unstorable, "{failure}");
        assert!(failure.to_string().contains(name), "{failure}");
        assert_eq!(world.bodies(), 1, "{name}: it ran again");
        assert_eq!(run.history().await.unwrap().events().len(), 1);
    }
}

#[step]
async fn inner(#[state] world: &World) -> Result<u32> {
    Ok(world.count())
}

#[step]
async fn step_in_step() -> Result<u32> {
    inner().await
}

#[workflow(allow(WF004, reason = "the misuse is the test"))]
async fn misplaced(which: u32) -> Result<u32> {
    match which {
        0 => step_in_step().await,
        _ => {
            // Handed to a thread of its own: no workflow is polled there.
            let call = inner();
            let polled = std::thread::spawn(|| futures::executor::block_on(call));
            polled.join().map_err(|_| "it panicked")?
        }
    }
}

#[tokio::test]
async fn a_step_awaited_outside_its_workflow_is_an_error_with_the_remedy() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let mut failures = vec![inner().await.unwrap_err()];
    failures.push(tokio::spawn(inner()).await.unwrap().unwrap_err());
    for which in 0..2 {
        let run = runtime.start(misplaced(which)).await.unwrap();
        failures.push(run.result().await.unwrap_err());
    }
    for failure in failures {
        assert_eq!(failure.kind(), FailureKind::OutsideWorkflow);
        let text = failure.to_string();
        assert!(text.contains("`inner`") && text.contains(".direct().await"), "{text}");
    }
    assert_eq!(world.bodies(), 0, "a body ran without a checkpoint");
    let direct = inner().direct().shared_state(Arc::clone(&world)).await;
    assert_eq!(direct.unwrap(), 1);
    let without = inner().direct().await.unwrap_err().to_string();
    assert!(without.contains("needs state") && without.contains("World"), "{without}");
}

#[workflow]
async fn breaks() -> Result<u32> {
    let counted = counted_unless_broken().await?;
    assert!(counted != 13, "unlucky");
    Ok(counted)
}

#[step]
async fn counted_unless_broken(#[state] world: &World) -> Result<u32> {
    world.count();
    Ok(if world.broken.load(Ordering::SeqCst) { 13 } else { 1 })
}

#[tokio::test]
async fn a_workflow_that_panics_is_blocked_with_a_report_and_not_failed() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    world.broken.store(true, Ordering::SeqCst);
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(breaks().id("b")).await.unwrap();
    let waiting = run.result().within(Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(waiting.kind(), FailureKind::Unfinished);
    assert_eq!(run.status().await.unwrap(), Status::Blocked);
    let report = run.blocked().await.unwrap().expect("a report");
    assert_eq!(report.kind(), BlockedKind::Panicked);
    let text = report.to_string();
    assert!(text.contains("unlucky") && text.contains("steps.rs:"), "{text}");
    assert_eq!(run.history().await.unwrap().events().len(), 1, "the result is kept");
    assert_eq!(world.bodies(), 1);
}
