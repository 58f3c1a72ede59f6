//! Cancellation in every state, what is shielded from it, and what ends a run
//! whose code is gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use workflow_runtime::{
    CommandOutcome, ErrorKind, Failure, FailureKind, Handle, Result, Status, step, workflow,
};
use workflow_tests::Place;

use crate::steps::{World, builder, runtime};

/// Waits at the gate; says when it is reached, and counts when it is dropped.
#[step]
async fn wait_at_gate(#[state] world: &World) -> Result<u32> {
    struct Dropped<'a>(&'a World);
    impl Drop for Dropped<'_> {
        fn drop(&mut self) {
            self.0.count();
        }
    }
    let dropped = Dropped(world);
    world.reached.notify_one();
    world.gate.notified().await;
    std::mem::forget(dropped);
    Ok(7)
}

#[step]
async fn note(#[state] world: &World, text: String) -> Result<String> {
    world.notes.lock().unwrap().push(text.clone());
    Ok(text)
}

#[step(retry(attempts = 3, first = "1h"))]
async fn never_works(#[state] world: &World) -> Result<u32> {
    world.reached.notify_one();
    Err(Failure::new("no"))
}

#[workflow]
async fn one_step() -> Result<u32> {
    wait_at_gate().await
}

#[workflow]
async fn sleeps_long() -> Result<u32> {
    workflow::sleep(Duration::from_secs(86_400)).await;
    Ok(1)
}

#[workflow]
async fn backs_off() -> Result<u32> {
    never_works().await
}

async fn until(run: &Handle<u32>, status: Status) {
    while run.status().await.unwrap() != status {
        assert!(!run.status().await.unwrap().is_ended(), "it ended");
        tokio::task::yield_now().await;
    }
}

async fn is_cancelled(run: &Handle<u32>) {
    let failure = run.result().within(Duration::from_secs(20)).await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Cancelled, "{failure}");
    assert_eq!(run.status().await.unwrap(), Status::Cancelled);
}

#[tokio::test]
async fn a_run_in_a_step_is_cancelled_and_its_step_is_stopped() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(one_step().id("it")).await.unwrap();
    world.reached.notified().await;
    let outcome = run.cancel().by("ada").because("ordered twice").await.unwrap();
    assert_eq!(outcome, CommandOutcome::Accepted);
    let failure = run.result().await.unwrap_err();
    assert_eq!(failure.to_string(), "cancelled by ada: ordered twice");
    is_cancelled(&run).await;
    while world.bodies() == 0 {
        tokio::task::yield_now().await;
    }
    let kinds: Vec<_> = run.history().await.unwrap().events().to_vec();
    assert_eq!(kinds.last().unwrap().kind(), "cancelled");
    assert_eq!(run.cancel().await.unwrap(), CommandOutcome::AlreadyEnded);
    let unknown = runtime.handle(one_step, "nobody").cancel().await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_run_that_left_memory_is_cancelled_at_once() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = builder(&place, &world).park_after(Duration::ZERO).build().await.unwrap();
    let run = runtime.start(sleeps_long()).await.unwrap();
    until(&run, Status::Waiting).await;
    run.cancel().await.unwrap();
    is_cancelled(&run).await;
}

#[tokio::test]
async fn a_run_that_waits_in_memory_is_cancelled_at_once() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let hour = Duration::from_secs(3_600);
    let runtime = builder(&place, &world).park_after(hour).build().await.unwrap();
    let run = runtime.start(sleeps_long()).await.unwrap();
    run.cancel().await.unwrap();
    is_cancelled(&run).await;
}

#[tokio::test]
async fn a_run_in_back_off_is_cancelled_at_once() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = builder(&place, &world).park_after(Duration::ZERO).build().await.unwrap();
    let run = runtime.start(backs_off()).await.unwrap();
    world.reached.notified().await;
    until(&run, Status::Waiting).await;
    run.cancel().await.unwrap();
    is_cancelled(&run).await;
    let left: i64 = sqlx::query_scalar("select count(*) from attempts")
        .fetch_one(&mut place.sql().await)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_queued_run_is_cancelled_and_its_code_never_runs() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = builder(&place, &world).max_runs(1).build().await.unwrap();
    let first = runtime.start(one_step()).await.unwrap();
    world.reached.notified().await;
    let second = runtime.start(one_step()).await.unwrap();
    assert_eq!(second.status().await.unwrap(), Status::Queued);
    second.cancel().await.unwrap();
    world.gate.notify_one();
    assert_eq!(first.result().await.unwrap(), 7);
    is_cancelled(&second).await;
    assert_eq!(second.history().await.unwrap().events().len(), 1);
}

#[workflow]
async fn shields() -> Result<u32> {
    let beside = async {
        workflow::sleep(Duration::from_secs(86_400)).await;
        note("beside".into()).await
    };
    let shielded = workflow::shielded(async {
        wait_at_gate().await?;
        note("shielded".into()).await
    });
    let (one, two) = tokio::join!(shielded, beside);
    note("after".into()).await?;
    one.and(two).map(|_| 1)
}

#[tokio::test]
async fn what_is_shielded_ends_and_nothing_else_goes_on() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(shields()).await.unwrap();
    world.reached.notified().await;
    run.cancel().await.unwrap();
    is_delivered(&run).await;
    assert!(!run.status().await.unwrap().is_ended());
    world.gate.notify_one();
    is_cancelled(&run).await;
    assert_eq!(*world.notes.lock().unwrap(), ["shielded"]);
    assert_eq!(world.bodies(), 0, "the shielded step was stopped");
}

#[tokio::test]
async fn a_shield_holds_across_a_restart() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let first = builder(&place, &world).shutdown_grace(Duration::ZERO).build().await.unwrap();
    let run = first.start(shields().id("it")).await.unwrap();
    world.reached.notified().await;
    run.cancel().await.unwrap();
    is_delivered(&run).await;
    first.shutdown().await.unwrap();
    let second = runtime(&place, &world).await;
    world.reached.notified().await;
    world.gate.notify_one();
    is_cancelled(&second.handle(shields, "it")).await;
    assert_eq!(*world.notes.lock().unwrap(), ["shielded"]);
}

#[workflow]
async fn cleans_up(fails: bool) -> Result<u32> {
    match workflow::cancellable(wait_at_gate()).await {
        Ok(done) => done,
        Err(cancelled) => {
            note("cleaned".into()).await?;
            if fails { Err(cancelled.into()) } else { Ok(5) }
        }
    }
}

#[tokio::test]
async fn code_that_takes_a_cancellation_cleans_up_and_decides() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(cleans_up(true)).await.unwrap();
    world.reached.notified().await;
    run.cancel().await.unwrap();
    is_cancelled(&run).await;
    let run = runtime.start(cleans_up(false)).await.unwrap();
    world.reached.notified().await;
    run.cancel().await.unwrap();
    assert_eq!(run.result().await.unwrap(), 5);
    assert_eq!(run.status().await.unwrap(), Status::Completed);
    assert_eq!(*world.notes.lock().unwrap(), ["cleaned", "cleaned"]);
    // Not taken, it does not matter that it might have been.
    let run = runtime.start(cleans_up(true)).await.unwrap();
    world.reached.notified().await;
    world.gate.notify_one();
    assert_eq!(run.result().await.unwrap(), 7);
}

#[workflow]
async fn nests_scopes() -> Result<u32> {
    let inner = async {
        let got = workflow::cancellable(wait_at_gate()).await;
        assert!(got.is_err());
        note("inner".into()).await
    };
    let beside = async {
        workflow::sleep(Duration::from_millis(5)).await;
        note("beside".into()).await
    };
    let outer = workflow::cancellable(async { tokio::join!(inner, beside) }).await;
    let (inner, beside) = outer?;
    inner.and(beside).map(|_| 3)
}

#[tokio::test]
async fn the_innermost_takes_a_cancellation_and_the_rest_goes_on() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(nests_scopes()).await.unwrap();
    world.reached.notified().await;
    run.cancel().await.unwrap();
    assert_eq!(run.result().await.unwrap(), 3);
    let mut notes = world.notes.lock().unwrap().clone();
    notes.sort();
    assert_eq!(notes, ["beside", "inner"]);
}

#[step]
async fn cleans_up_itself(#[state] world: &World) -> Result<u32> {
    let cancelled = step::cancelled();
    world.reached.notify_one();
    tokio::select! {
        () = world.gate.notified() => Ok(1),
        () = cancelled => {
            // A step that did not ask would be gone at its next await.
            tokio::task::yield_now().await;
            world.notes.lock().unwrap().push("parts removed".to_owned());
            Err(Failure::new("cancelled"))
        }
    }
}

#[workflow]
async fn careful() -> Result<u32> {
    cleans_up_itself().await
}

#[tokio::test]
async fn a_step_that_asks_is_told_of_a_cancellation() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(careful()).await.unwrap();
    world.reached.notified().await;
    run.cancel().await.unwrap();
    is_cancelled(&run).await;
    while world.notes.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[workflow]
async fn panics() -> Result<u32> {
    note("once".into()).await?;
    panic!("on purpose")
}

#[tokio::test]
async fn a_blocked_run_is_terminated_and_one_whose_code_is_gone_too() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(panics().id("panics")).await.unwrap();
    until(&run, Status::Blocked).await;
    assert_eq!(run.cancel().await.unwrap(), CommandOutcome::Accepted);
    assert_eq!(run.terminate().because("no way out").await.unwrap(), CommandOutcome::Accepted);
    is_cancelled(&run).await;
    let gone = runtime.start(sleeps_long().id("gone")).await.unwrap();
    until(&gone, Status::Waiting).await;
    let rename = "update runs set workflow = 'no_more' where workflow_id = 'gone'";
    sqlx::query(rename).execute(&mut place.sql().await).await.unwrap();
    assert_eq!(runtime.client().terminate("gone").await.unwrap(), CommandOutcome::Accepted);
    let (status, left): (String, i64) = sqlx::query_as(
        "select status, (select count(*) from active) from workflows where id = 'gone'",
    )
    .fetch_one(&mut place.sql().await)
    .await
    .unwrap();
    assert_eq!((status.as_str(), left), ("cancelled", 0));
}

#[tokio::test]
async fn a_run_in_memory_is_terminated_and_its_steps_are_stopped() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(shields()).await.unwrap();
    world.reached.notified().await;
    run.terminate().by("ops").await.unwrap();
    is_cancelled(&run).await;
    while world.bodies() == 0 {
        tokio::task::yield_now().await;
    }
    let open: i64 = sqlx::query_scalar("select count(*) from commands where done = 0")
        .fetch_one(&mut place.sql().await)
        .await
        .unwrap();
    assert_eq!(open, 0);
    assert!(world.notes.lock().unwrap().is_empty());
}

#[tokio::test]
async fn who_asked_is_recorded() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(panics()).await.unwrap();
    until(&run, Status::Blocked).await;
    assert_eq!(run.retry().by("ada").because("deployed").await.unwrap(), CommandOutcome::Accepted);
    until(&run, Status::Blocked).await;
    run.terminate().by("bob").await.unwrap();
    let given: Vec<(String, String, Option<String>)> =
        sqlx::query_as("select kind, by, reason from commands order by id")
            .fetch_all(&mut place.sql().await)
            .await
            .unwrap();
    let retry = ("retry".to_owned(), "ada".to_owned(), Some("deployed".to_owned()));
    assert_eq!(given, [retry, ("terminate".to_owned(), "bob".to_owned(), None)]);
}

#[workflow(allow(WF009, reason = "another build, in one process"))]
async fn mended() -> Result<u32> {
    let broken = BROKEN.load(Ordering::SeqCst);
    assert!(!broken, "broken");
    note("mended".into()).await?;
    Ok(9)
}

static BROKEN: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(true);

#[tokio::test]
async fn a_blocked_run_is_retried_by_hand() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(mended()).await.unwrap();
    until(&run, Status::Blocked).await;
    BROKEN.store(false, Ordering::SeqCst);
    assert_eq!(run.retry().await.unwrap(), CommandOutcome::Accepted);
    assert_eq!(run.result().await.unwrap(), 9);
    assert_eq!(run.retry().await.unwrap(), CommandOutcome::AlreadyEnded);
}

#[workflow]
async fn branches() -> Result<u32> {
    let one = workflow::spawn(async {
        note("one".into()).await?;
        workflow::sleep(Duration::from_millis(20)).await;
        note("one again".into()).await
    });
    let two = workflow::spawn(note("two".into()));
    let never = workflow::spawn(wait_at_gate());
    let aborted = workflow::spawn(async {
        workflow::sleep(Duration::from_millis(1)).await;
        note("never".into()).await
    });
    aborted.abort();
    two.await?;
    one.await?;
    drop(never);
    Ok(2)
}

#[tokio::test]
async fn branches_run_beside_the_code_and_end_with_it() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(branches()).await.unwrap();
    assert_eq!(run.result().within(Duration::from_secs(20)).await.unwrap(), 2);
    let mut notes = world.notes.lock().unwrap().clone();
    notes.sort();
    assert_eq!(notes, ["one", "one again", "two"]);
    while world.bodies() == 0 {
        // The branch that was still running is dropped, and its step.
        tokio::task::yield_now().await;
    }
}

#[workflow]
async fn a_branch_panics() -> Result<u32> {
    let branch = workflow::spawn(async {
        note("before".into()).await?;
        panic!("in a branch");
        #[expect(unreachable_code, reason = "its type")]
        Ok::<u32, Failure>(1)
    });
    workflow::sleep(Duration::from_secs(60)).await;
    branch.await
}

#[tokio::test]
async fn a_panic_in_a_branch_is_the_workflows() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(a_branch_panics()).await.unwrap();
    until(&run, Status::Blocked).await;
    let report = run.blocked().await.unwrap().unwrap();
    assert!(report.message().contains("in a branch"), "{report}");
}

/// Waits until the cancellation is in the history.
async fn is_delivered(run: &Handle<u32>) {
    while !run.history().await.unwrap().events().iter().any(|event| event.kind() == "cancelled") {
        tokio::task::yield_now().await;
    }
}

#[workflow]
async fn shields_a_branch() -> Result<u32> {
    let shielded = workflow::shielded(async {
        let branch = workflow::spawn(async { wait_at_gate().await });
        let got = branch.await;
        note("in the shield".into()).await?;
        got
    });
    shielded.await?;
    note("after it".into()).await?;
    Ok(1)
}

#[tokio::test]
async fn a_branch_that_is_spawned_behind_a_shield_is_shielded_too() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(shields_a_branch()).await.unwrap();
    world.reached.notified().await;
    run.cancel().await.unwrap();
    // The cancellation is delivered while the step runs.
    is_delivered(&run).await;
    world.gate.notify_one();
    is_cancelled(&run).await;
    assert_eq!(*world.notes.lock().unwrap(), ["in the shield"]);
}

#[workflow]
async fn begins_a_scope_too_late() -> Result<u32> {
    let told = workflow::sync::Notify::new();
    let shielded = workflow::shielded(async {
        let got = wait_at_gate().await;
        told.notify_one();
        note("in the shield".into()).await?;
        got
    });
    let beside = async {
        told.notified().await;
        workflow::cancellable(note("beside it".into())).await
    };
    let (got, beside) = tokio::join!(shielded, beside);
    assert!(beside.is_ok());
    got
}

#[tokio::test]
async fn what_was_cancelled_opens_no_new_scope() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(begins_a_scope_too_late()).await.unwrap();
    world.reached.notified().await;
    run.cancel().await.unwrap();
    is_delivered(&run).await;
    world.gate.notify_one();
    is_cancelled(&run).await;
    assert_eq!(*world.notes.lock().unwrap(), ["in the shield"]);
}
