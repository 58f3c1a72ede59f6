//! Timers and parking on a real database; where workflow functions work; tracing.

use std::sync::Arc;
use std::time::Duration;

use workflow_runtime::{Result, Status, step, workflow};
use workflow_tests::Place;

use crate::steps::{World, builder, runtime};

#[step]
async fn touch(#[state] world: &World) -> Result<u32> {
    Ok(world.count())
}

#[workflow]
async fn sleeper(millis: u64) -> Result<u32> {
    let first = touch().await?;
    workflow::sleep(Duration::from_millis(millis)).await;
    Ok(first + touch().await?)
}

#[tokio::test]
async fn a_run_that_only_waits_leaves_memory_and_comes_back() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = builder(&place, &world).park_after(Duration::ZERO).build().await.unwrap();
    let run = runtime.start(sleeper(600).id("s")).await.unwrap();
    while run.status().await.unwrap() != Status::Waiting {
        assert!(!run.status().await.unwrap().is_ended(), "it never left memory");
        tokio::task::yield_now().await;
    }
    assert_eq!(run.result().await.unwrap(), 3);
    assert_eq!(world.bodies(), 2);
}

#[tokio::test]
async fn a_timer_survives_a_restart_and_does_not_start_again() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let first = builder(&place, &world).park_after(Duration::ZERO).build().await.unwrap();
    let run = first.start(sleeper(3_600_000).id("s")).await.unwrap();
    while run.status().await.unwrap() != Status::Waiting {
        tokio::task::yield_now().await;
    }
    first.shutdown().await.unwrap();
    let due = due(&place).await;
    let second = runtime(&place, &world).await;
    second.shutdown().await.unwrap();
    assert_eq!(self::due(&place).await, due, "the clock of the timer started again");
    // An hour passes: as if all had happened an hour before.
    let mut sql = place.sql().await;
    for back in [
        "update runs set created = created - 3600000",
        "update history set at = at - 3600000",
        "update active set due = due - 3600000",
    ] {
        sqlx::query(back).execute(&mut sql).await.unwrap();
    }
    let third = runtime(&place, &world).await;
    assert_eq!(third.handle(sleeper, "s").result().await.unwrap(), 3);
    assert_eq!(world.bodies(), 2);
}

async fn due(place: &Place) -> i64 {
    let query = sqlx::query_scalar("select due from active");
    query.fetch_one(&mut place.sql().await).await.unwrap()
}

#[step]
async fn echo(text: String) -> Result<String> {
    Ok(text)
}

#[test]
fn workflow_functions_say_where_they_work() {
    let calls: [fn() -> String; 4] = [
        || workflow::now().to_string(),
        || workflow::uuid().to_string(),
        workflow::id,
        || workflow::random::<u8>().to_string(),
    ];
    for call in calls {
        let panic = std::panic::catch_unwind(call).unwrap_err();
        let text = panic.downcast::<String>().unwrap();
        assert!(text.contains("works inside a `#[workflow]` only"), "{text}");
    }
}

/// Counts what workflows of this file say through `tracing`.
struct Listener;

static HEARD: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());

/// Spans of the talkative run: their names; and how many of them are entered.
static SPANS: std::sync::Mutex<Vec<&str>> = std::sync::Mutex::new(Vec::new());
static ENTERED: std::sync::atomic::AtomicI32 = std::sync::atomic::AtomicI32::new(0);
const OF_TALKATIVE: u64 = 2;

struct Message(String);

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if ["message", "id"].contains(&field.name()) {
            self.0 = format!("{value:?}");
        }
    }
}

impl tracing::Subscriber for Listener {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "talkative" || metadata.is_span()
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        let mut id = Message(String::new());
        span.record(&mut id);
        if id.0 != "talkative" {
            return tracing::span::Id::from_u64(1);
        }
        SPANS.lock().unwrap().push(span.metadata().name());
        tracing::span::Id::from_u64(OF_TALKATIVE)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        HEARD.lock().unwrap().push(message.0);
    }

    fn enter(&self, id: &tracing::span::Id) {
        if id.into_u64() == OF_TALKATIVE {
            ENTERED.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }

    fn exit(&self, id: &tracing::span::Id) {
        if id.into_u64() == OF_TALKATIVE {
            ENTERED.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
}

#[workflow]
async fn talkative() -> Result<()> {
    tracing::info!(target: "talkative", "begins");
    for round in 0..3 {
        echo(round.to_string()).await?;
        tracing::info!(target: "talkative", "round {round}");
        workflow::sleep(Duration::from_millis(60)).await;
    }
    tracing::info!(target: "talkative", "ends");
    Ok(())
}

#[tokio::test]
async fn tracing_is_silent_while_a_history_is_replayed() {
    tracing::subscriber::set_global_default(Listener).unwrap();
    let (place, world) = (Place::new(), Arc::<World>::default());
    // Parked in every sleep: replayed three times.
    let runtime = builder(&place, &world).park_after(Duration::ZERO).build().await.unwrap();
    let run = runtime.start(talkative().id("talkative")).await.unwrap();
    run.result().await.unwrap();
    let heard = HEARD.lock().unwrap().clone();
    assert_eq!(heard, ["begins", "round 0", "round 1", "round 2", "ends"]);
    // One for each poll of a turn that was new, none for those that were not,
    // and none stays open between two turns.
    let spans = SPANS.lock().unwrap().clone();
    let of = |name: &str| spans.iter().filter(|span| **span == name).count();
    assert_eq!((of("workflow"), of("step")), (7, 3), "{spans:?}");
    assert_eq!(ENTERED.load(std::sync::atomic::Ordering::SeqCst), 0);
}
