//! Turns that do not return, and steps that block the user's threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use workflow_runtime::{BlockedKind, ErrorKind, Handle, Result, Runtime, Status, step, workflow};
use workflow_tests::Place;

use crate::steps::{World, builder};

#[step]
async fn tick(#[state] world: &World) -> Result<u32> {
    Ok(world.count())
}

#[step]
async fn hold(#[state] world: &World) -> Result<u32> {
    world.reached.notify_one();
    world.gate.notified().await;
    Ok(world.count())
}

#[workflow]
async fn holds_on() -> Result<u32> {
    hold().await
}

#[workflow]
async fn short_nap() -> Result<u32> {
    workflow::sleep(Duration::from_millis(900)).await;
    tick().await
}

#[expect(clippy::disallowed_methods, reason = "what nobody should do")]
fn block() {
    std::thread::sleep(Duration::from_secs(3));
}

#[workflow]
async fn blocks_after_a_step() -> Result<u32> {
    let first = tick().await?;
    block();
    Ok(first)
}

#[workflow]
async fn blocks_at_once() -> Result<u32> {
    block();
    tick().await
}

async fn is_blocked<T>(run: &Handle<T>) {
    while run.status().await.unwrap() != Status::Blocked {
        tokio::task::yield_now().await;
    }
    let report = run.blocked().await.unwrap().unwrap();
    assert_eq!(report.kind(), BlockedKind::BusyLoop);
    assert!(report.message().contains("does not return from a turn"), "{report}");
}

#[tokio::test]
async fn a_turn_that_does_not_return_blocks_its_run_and_no_other() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let builder = builder(&place, &world).workflow_threads(1);
    let builder = builder.park_after(Duration::from_secs(3_600)).max_runs(4);
    let runtime = builder.turn_limit(Duration::from_millis(300)).build().await.unwrap();
    let holding = runtime.start(holds_on()).await.unwrap();
    world.reached.notified().await;
    let napping = runtime.start(short_nap()).await.unwrap();
    let stuck = runtime.start(blocks_after_a_step()).await.unwrap();
    is_blocked(&stuck).await;
    // Its thread sleeps on; the others have a new one, and steps that ran run
    // on.
    world.gate.notify_one();
    let held = holding.result().within(Duration::from_secs(2)).await.unwrap();
    assert_eq!(held, 2, "the step was run again");
    assert_eq!(napping.result().within(Duration::from_secs(5)).await.unwrap(), 3);
    let after = runtime.start(short_nap()).await.unwrap();
    assert_eq!(after.result().within(Duration::from_secs(5)).await.unwrap(), 4);
    // The old thread comes back, finds itself replaced, and harms nobody.
    pause().await;
    assert_eq!(stuck.status().await.unwrap(), Status::Blocked);
    let last = runtime.start(short_nap()).await.unwrap();
    assert_eq!(last.result().within(Duration::from_secs(5)).await.unwrap(), 5);
    runtime.shutdown().await.unwrap();
}

#[expect(clippy::disallowed_methods, reason = "until the blocked thread returns")]
async fn pause() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}

#[tokio::test]
async fn a_start_whose_first_turn_does_not_return_is_refused() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let builder = builder(&place, &world).workflow_threads(1);
    let runtime = builder.turn_limit(Duration::from_millis(300)).build().await.unwrap();
    let error = runtime.start(blocks_at_once()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("does not return"), "{error}");
    let after = runtime.start(short_nap()).await.unwrap();
    assert_eq!(after.result().within(Duration::from_secs(5)).await.unwrap(), 1);
}

#[step]
async fn hogs(#[state] world: &World) -> Result<u32> {
    world.reached.notify_one();
    block();
    Ok(0)
}

#[workflow]
async fn hogging() -> Result<u32> {
    hogs().await
}

#[workflow]
async fn waits_twice() -> Result<u32> {
    workflow::sleep(Duration::from_millis(200)).await;
    workflow::sleep(Duration::from_millis(200)).await;
    Ok(5)
}

/// On a runtime of its own, whose every thread a step blocks.
#[test]
fn a_step_that_blocks_every_thread_of_its_runtime_stops_no_commit_and_no_timer() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let steps = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let steps = steps.unwrap();
    let (runtime, waiting) = steps.block_on(async {
        let runtime = builder(&place, &world).build().await.unwrap();
        let waiting = runtime.start(waits_twice()).await.unwrap();
        runtime.start(hogging()).await.unwrap();
        world.reached.notified().await;
        (runtime, waiting)
    });
    let here = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = here.block_on(async { waiting.result().within(Duration::from_secs(2)).await });
    assert_eq!(result.unwrap(), 5);
    here.block_on(runtime.shutdown()).unwrap();
    steps.shutdown_background();
}

/// Turns that do not return and have begun, by their number.
static STUCK: [AtomicBool; 5] = [const { AtomicBool::new(false) }; 5];

#[workflow]
async fn blocks_as(number: usize) -> Result<()> {
    tick().await?;
    STUCK[number].store(true, Ordering::SeqCst);
    block();
    Ok(())
}

/// Waits, as the turns of a workflow must not.
async fn until_stuck(number: usize) {
    while !STUCK[number].load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
}

async fn one_thread(place: &Place, world: &Arc<World>) -> Runtime {
    let builder = builder(place, world).workflow_threads(1);
    builder.turn_limit(Duration::from_millis(300)).build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_step_gave_while_another_run_is_stuck_is_kept() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = one_thread(&place, &world).await;
    let holding = runtime.start(holds_on()).await.unwrap();
    world.reached.notified().await;
    let stuck = runtime.start(blocks_as(1)).await.unwrap();
    until_stuck(1).await;
    world.gate.notify_one();
    let held = holding.result().within(Duration::from_secs(5)).await.unwrap();
    assert_eq!(held, 2, "the step was run again");
    assert_eq!(stuck.status().await.unwrap(), Status::Blocked);
    runtime.shutdown().await.unwrap();
}

/// Its first poll ends while another run is stuck.
#[step]
async fn begins_late(#[state] world: &World) -> Result<u32> {
    world.reached.notify_one();
    while !STUCK[2].load(Ordering::SeqCst) {
        std::hint::spin_loop();
    }
    world.gate.notified().await;
    Ok(world.count())
}

#[workflow]
async fn begins() -> Result<u32> {
    begins_late().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_step_that_begins_while_another_run_is_stuck_runs_on() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = one_thread(&place, &world).await;
    let beginning = runtime.start(begins()).await.unwrap();
    world.reached.notified().await;
    let stuck = runtime.start(blocks_as(2)).await.unwrap();
    is_blocked(&stuck).await;
    world.gate.notify_one();
    let begun = beginning.result().within(Duration::from_secs(5)).await.unwrap();
    assert_eq!(begun, 2, "the step was run again");
    runtime.shutdown().await.unwrap();
}

#[step(semantics = at_most_once)]
async fn hold_once(#[state] world: &World) -> Result<u32> {
    world.reached.notify_one();
    world.gate.notified().await;
    Ok(world.count())
}

#[workflow]
async fn holds_on_once() -> Result<u32> {
    hold_once().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_runs_on_through_two_threads_that_do_not_return() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = one_thread(&place, &world).await;
    let holding = runtime.start(holds_on_once()).await.unwrap();
    world.reached.notified().await;
    for number in 3..=4 {
        let stuck = runtime.start(blocks_as(number)).await.unwrap();
        is_blocked(&stuck).await;
    }
    world.gate.notify_one();
    let held = holding.result().within(Duration::from_secs(5)).await.unwrap();
    assert_eq!(held, 3, "the step was run again");
    runtime.shutdown().await.unwrap();
}

#[workflow]
async fn long_nap() -> Result<u32> {
    workflow::sleep(Duration::from_secs(4)).await;
    tick().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_comes_back_from_its_first_turn_harms_nobody() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = one_thread(&place, &world).await;
    runtime.start(blocks_at_once()).await.unwrap_err();
    // It comes back while this one sleeps, and nothing else happens.
    let napping = runtime.start(long_nap()).await.unwrap();
    assert_eq!(napping.result().within(Duration::from_secs(10)).await.unwrap(), 1);
    runtime.shutdown().await.unwrap();
}
