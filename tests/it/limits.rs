//! Limits and what goes beyond them; heartbeats; steps that run at most once.

use std::sync::Arc;
use std::time::Duration;

use workflow_runtime::{Failure, FailureKind, Result, Status, step, workflow};
use workflow_tests::Place;

use crate::steps::{World, builder, runtime};

#[step]
async fn tick(#[state] world: &World) -> Result<u32> {
    Ok(world.count())
}

#[step]
async fn hold(#[state] world: &World) -> Result<u32> {
    let before = world.count();
    world.notes.lock().unwrap().push(format!("in {}", running(world, 1)));
    world.reached.notify_one();
    world.gate.notified().await;
    running(world, -1);
    Ok(before)
}

/// How many run, and the most there ever were.
fn running(world: &World, change: i32) -> i32 {
    let mut running = world.running.lock().unwrap();
    running.0 += change;
    running.1 = running.1.max(running.0);
    running.0
}

#[workflow]
async fn naps(millis: u64) -> Result<u32> {
    workflow::sleep(Duration::from_millis(millis)).await;
    tick().await
}

#[workflow]
async fn holds() -> Result<u32> {
    hold().await
}

#[tokio::test]
async fn with_one_run_slot_runs_that_wait_let_others_pass() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let hour = Duration::from_secs(3_600);
    // Not because they left memory: because they only wait.
    let runtime = builder(&place, &world).max_runs(1).park_after(hour).build().await.unwrap();
    let napping = futures::future::join_all((0..20).map(|_| runtime.start(naps(300)))).await;
    let quick = runtime.start(naps(0)).await.unwrap();
    quick.result().within(Duration::from_secs(20)).await.unwrap();
    for run in napping {
        run.unwrap().result().within(Duration::from_secs(20)).await.unwrap();
    }
    assert_eq!(world.bodies(), 21);
}

#[tokio::test]
async fn no_more_runs_are_in_hand_than_there_are_slots() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = builder(&place, &world).max_runs(2).build().await.unwrap();
    let runs: Vec<_> = futures::future::join_all((0..7).map(|_| runtime.start(holds()))).await;
    let runs: Vec<_> = runs.into_iter().map(Result::unwrap).collect();
    let mut queued = 0;
    while queued != 5 {
        queued = 0;
        for run in &runs {
            queued += u32::from(run.status().await.unwrap() == Status::Queued);
        }
        assert!(queued >= 5, "more than two are in hand");
    }
    while world.bodies() < 2 {
        tokio::task::yield_now().await;
    }
    for run in &runs {
        loop {
            world.gate.notify_one();
            let ended = run.result().within(Duration::from_millis(50)).await;
            if ended.is_ok() {
                break;
            }
        }
    }
    assert_eq!(world.running.lock().unwrap().1, 2);
}

/// Cancelled, it begins a step; beside it a timer runs.
#[workflow]
async fn works_after_a_cancellation() -> Result<u32> {
    let works = async {
        let slept = workflow::cancellable(workflow::sleep(Duration::from_secs(3_600))).await;
        assert!(slept.is_err());
        hold().await
    };
    let (held, ()) = tokio::join!(works, workflow::sleep(Duration::from_secs(1)));
    held
}

#[tokio::test]
async fn a_run_whose_step_runs_does_not_leave_memory_for_want_of_a_slot() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let hour = Duration::from_secs(3_600);
    let runtime = builder(&place, &world).max_runs(1).park_after(hour).build().await.unwrap();
    let waiting = runtime.start(works_after_a_cancellation()).await.unwrap();
    // Has the slot as soon as the other one only waits.
    let holding = runtime.start(holds()).await.unwrap();
    world.reached.notified().await;
    waiting.cancel().await.unwrap();
    world.reached.notified().await;
    let early = waiting.result().within(Duration::from_millis(1_500)).await;
    assert_eq!(early.unwrap_err().kind(), FailureKind::Unfinished);
    world.gate.notify_waiters();
    let ended = waiting.result().within(Duration::from_secs(5)).await;
    assert_eq!(ended.unwrap(), 2, "the step was run again");
    assert_eq!(world.bodies(), 2);
    holding.result().within(Duration::from_secs(5)).await.unwrap();
}

#[workflow]
async fn holds_many(count: u32) -> Result<u32> {
    let all = (0..count).map(|_| hold());
    let all = futures::future::try_join_all(all).await?;
    Ok(u32::try_from(all.len())?)
}

#[tokio::test]
async fn no_more_steps_run_than_there_are_slots_and_all_run_in_the_end() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = builder(&place, &world).max_steps(3).build().await.unwrap();
    let run = runtime.start(holds_many(10)).await.unwrap();
    while world.bodies() < 10 {
        world.reached.notified().await;
        world.gate.notify_one();
    }
    while run.result().within(Duration::from_millis(20)).await.is_err() {
        world.gate.notify_one();
    }
    assert_eq!(world.running.lock().unwrap().1, 3);
    assert_eq!(world.bodies(), 10);
}

#[step]
async fn hop(long: bool) -> Result<()> {
    if long {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[workflow]
async fn hops() -> Result<()> {
    for n in 0..6 {
        hop(n % 2 == 0).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gives_a_step_slot_back_the_outcome_goes_to_the_thread_of_the_run() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = builder(&place, &world).workflow_threads(4).max_steps(1).build().await.unwrap();
    let mut runs = Vec::new();
    for _ in 0..40 {
        runs.push(runtime.start(hops()).await.unwrap());
    }
    for run in runs {
        run.result().within(Duration::from_secs(60)).await.unwrap();
    }
}

#[workflow]
async fn drops_what_waits() -> Result<u32> {
    let all = futures::future::join_all((0..5).map(|_| hold()));
    let bound = workflow::timeout(Duration::from_millis(30), all).await;
    assert!(bound.is_err());
    tick().await
}

#[tokio::test]
async fn a_step_that_waits_for_a_slot_and_is_dropped_never_runs() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = builder(&place, &world).max_steps(1).build().await.unwrap();
    let run = runtime.start(drops_what_waits()).await.unwrap();
    // One held the slot; its slot is free again.
    assert_eq!(run.result().within(Duration::from_secs(20)).await.unwrap(), 2);
}

#[workflow]
async fn endless() -> Result<u32> {
    loop {
        tick().await?;
    }
}

#[tokio::test]
async fn a_history_that_grows_too_long_ends_its_run_with_the_reason() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = builder(&place, &world).max_history(25).build().await.unwrap();
    let run = runtime.start(endless()).await.unwrap();
    let failure = run.result().await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::HistoryFull);
    assert!(failure.to_string().contains("limit of 25 events"), "{failure}");
    assert_eq!(run.history().await.unwrap().events().len(), 25);
    assert_eq!(run.status().await.unwrap(), Status::Failed);
    assert_eq!(world.bodies(), 25);
}

#[step(retry(attempts = 5, first = "1ms"))]
async fn import(#[state] world: &World, lines: u32) -> Result<u32> {
    let done: u32 = step::last_detail()?.unwrap_or(0);
    world.notes.lock().unwrap().push(format!("attempt {} from {done}", step::attempt()));
    for n in done..lines {
        if n == 3 * step::attempt() {
            return Err(Failure::new("the line is dead"));
        }
        step::heartbeat(&(n + 1))?;
    }
    Ok(done)
}

#[workflow]
async fn imports(lines: u32) -> Result<u32> {
    import(lines).await
}

#[tokio::test]
async fn a_retried_step_goes_on_from_its_last_heartbeat() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(imports(8)).await.unwrap();
    assert_eq!(run.result().await.unwrap(), 6);
    let notes = ["attempt 1 from 0", "attempt 2 from 3", "attempt 3 from 6"];
    assert_eq!(*world.notes.lock().unwrap(), notes);
    let left: i64 = sqlx::query_scalar("select count(*) from attempts")
        .fetch_one(&mut place.sql().await)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[step]
async fn beats_and_hangs(#[state] world: &World) -> Result<String> {
    let said: Option<String> = step::last_detail()?;
    if let Some(said) = said {
        return Ok(format!("{said}, attempt {}", step::attempt()));
    }
    step::heartbeat("half way")?;
    world.reached.notify_one();
    std::future::pending().await
}

#[workflow]
async fn beats() -> Result<String> {
    beats_and_hangs().await
}

#[tokio::test]
async fn a_heartbeat_survives_a_restart() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let first = builder(&place, &world).shutdown_grace(Duration::ZERO).build().await.unwrap();
    first.start(beats().id("it")).await.unwrap();
    world.reached.notified().await;
    let mut sql = place.sql().await;
    let said = "select count(*) from attempts where detail = '\"half way\"'";
    while sqlx::query_scalar::<_, i64>(said).fetch_one(&mut sql).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    first.shutdown().await.unwrap();
    let second = runtime(&place, &world).await;
    let result = second.handle(beats, "it").result().await.unwrap();
    assert_eq!(result, "half way, attempt 1");
}

#[step(semantics = at_most_once)]
async fn launch_rocket(#[state] world: &World, hangs: bool) -> Result<u32> {
    let body = world.count();
    if hangs {
        world.reached.notify_one();
        std::future::pending::<()>().await;
    }
    Ok(body)
}

#[workflow]
async fn mission(hangs: bool) -> Result<String> {
    match launch_rocket(hangs).await {
        Ok(body) => Ok(format!("launched {body}")),
        Err(failure) if failure.kind() == FailureKind::Interrupted => Ok(failure.to_string()),
        Err(failure) => Err(failure),
    }
}

#[tokio::test]
async fn a_step_that_runs_at_most_once_is_not_run_again_after_a_crash() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let first = builder(&place, &world).shutdown_grace(Duration::ZERO).build().await.unwrap();
    let run = first.start(mission(false)).await.unwrap();
    assert_eq!(run.result().await.unwrap(), "launched 1");
    first.start(mission(true).id("it")).await.unwrap();
    world.reached.notified().await;
    first.shutdown().await.unwrap();
    let second = runtime(&place, &world).await;
    let said = second.handle(mission, "it").result().await.unwrap();
    assert!(said.contains("`launch_rocket` was running: whether it acted is unknown"), "{said}");
    assert_eq!(world.bodies(), 2);
    let left: i64 = sqlx::query_scalar("select count(*) from attempts")
        .fetch_one(&mut place.sql().await)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[workflow]
async fn two_missions() -> Result<String> {
    hold().await?;
    mission_text(launch_rocket(false).await)
}

fn mission_text(result: Result<u32>) -> Result<String> {
    result.map(|body| format!("launched {body}"))
}

#[tokio::test]
async fn one_that_was_not_begun_before_the_crash_runs() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let first = builder(&place, &world).shutdown_grace(Duration::ZERO).build().await.unwrap();
    first.start(two_missions().id("it")).await.unwrap();
    world.reached.notified().await;
    first.shutdown().await.unwrap();
    let second = runtime(&place, &world).await;
    world.reached.notified().await;
    world.gate.notify_one();
    let result = second.handle(two_missions, "it").result().await.unwrap();
    assert_eq!(result, "launched 3");
}
