//! What workflow code may await, and that it does what it says.
//!
//! The programs beside this file are also compiled as a user's crate that
//! denies warnings: `tests/ui/pass/awaits.rs`.

mod allowed;
mod branches;
mod combinators;
mod helpers;
mod statements;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use workflow_runtime::workflow::sync;
use workflow_runtime::{
    Call, DurableFuture, Failure, Result, Runtime, Status, Workflow, step, workflow,
};
use workflow_tests::{Ledger, Place};

use crate::forms::loud;
use crate::steps::{World, builder, runtime};

async fn run<W, T>(call: Call<W>) -> Result<T>
where
    W: Workflow<Return = Result<T>>,
    T: 'static,
{
    let builder = Runtime::builder("memory:").shared_state(Arc::<World>::default());
    let builder = builder.state(Ledger::open(&Place::new().path("ledger")));
    builder.shared_state(loud()).build().await?.start(call).await?.result().await
}

#[tokio::test]
async fn joins_of_tokio_and_futures_give_all_results() {
    let numbers = run(combinators::joined()).await.unwrap();
    let expected: Vec<u32> = [1, 2].into_iter().chain(3..=50).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn streams_of_steps_are_awaited_item_by_item() {
    let numbers = run(combinators::streamed()).await.unwrap();
    assert_eq!(numbers, [1 + 2 + 3 + 4 + 22, 1, 1, 2, 3, 6, 7, 8, 3, 5, 6]);
}

#[tokio::test]
async fn adapted_futures_are_awaited() {
    let numbers = run(combinators::adapted()).await.unwrap();
    assert_eq!(numbers, [1, 1, 4, 5, 6, 7, 8, 9, 9, 10]);
}

#[tokio::test]
async fn biased_selects_of_other_crates_work() {
    assert_eq!(run(combinators::selected()).await.unwrap(), [1, 3, 13]);
}

#[tokio::test]
async fn boxes_closures_references_and_macros_are_awaited() {
    let names = [("1.2".to_owned(), 6), ("x.4".to_owned(), 0)].into();
    let numbers = run(combinators::shaped(names)).await.unwrap();
    assert_eq!(numbers, [1, 2, 3, 4, 7, 11, 13, 2]);
}

#[tokio::test]
async fn a_workflow_may_have_no_result() {
    let failure = run(combinators::never()).await.unwrap_err();
    assert_eq!(failure.to_string(), "stopped at 4");
}

#[tokio::test]
async fn durable_helpers_of_every_form_work() {
    let texts = run(helpers::helped(50)).await.unwrap();
    let expected =
        ["basket", "Some(2)", "6", "12", "13", "10", "51", "5", "2", "<1>", "boxes2", "end"];
    assert_eq!(texts[..12], expected);
    assert_eq!(texts[12..], ["4", "11", "made body argument"]);
}

#[tokio::test]
async fn awaits_stand_wherever_expressions_stand() {
    let numbers = run(statements::places(2)).await.unwrap();
    let expected = [2, 2, 3, 4, 5, 11, 12, 13, 0, 1, 2, 3, 4, 2, u32::MAX, 7, 7];
    assert_eq!(numbers, expected);
    let text = run(statements::in_macros("text ".to_owned())).await.unwrap();
    assert_eq!(text, "text 2 3 8 8 9");
    assert_eq!(run(statements::nested()).await.unwrap(), 6);
    assert_eq!(run(statements::taken::names_of_the_user(1)).await.unwrap(), 2);
}

#[tokio::test]
async fn select_polls_from_top_to_bottom() {
    // Chance would give this order once in 2^64 runs.
    assert_eq!(run(branches::biased(64)).await.unwrap(), [32, 32, 0, 41, 3]);
}

#[tokio::test]
async fn map_gives_results_in_the_order_of_the_items_so_many_at_a_time() {
    let expected = ["0", "10", "20", "no third", "40", "50", "60", "70", "80"];
    let results = run(branches::mapped(2)).await.unwrap();
    assert_eq!(results[..9], expected);
    // `f` is called when an item starts, not before.
    assert_eq!(results[9], "2");
    assert_eq!(branches::MOST.swap(0, Ordering::SeqCst), 2);
    let results = run(branches::mapped(usize::MAX)).await.unwrap();
    assert_eq!((&results[..9], &*results[9]), (&expected.map(str::to_owned)[..], "9"));
    assert_eq!(run(branches::mapped(0)).await.unwrap()[9], "1");
}

#[tokio::test]
async fn map_takes_a_step_itself() {
    assert_eq!(run(branches::mapped_by_a_step((0..100).collect())).await.unwrap()[99], 100);
    assert!(run(branches::mapped_by_a_step(Vec::new())).await.unwrap().is_empty());
}

#[tokio::test]
async fn items_of_a_dropped_map_do_not_start() {
    assert_eq!(run(branches::mapped_and_dropped()).await.unwrap(), [0, 1, 2, 3]);
}

#[tokio::test]
async fn branches_talk_through_channels() {
    assert_eq!(run(branches::piped(4)).await.unwrap(), [1, 2, 3, 4, 100]);
}

#[tokio::test]
async fn branches_share_through_locks() {
    assert_eq!(run(branches::locked()).await.unwrap(), (15, 2));
}

#[tokio::test]
async fn a_future_that_is_vouched_for_is_awaited() {
    assert_eq!(run(combinators::vouched()).await.unwrap(), 2);
}

#[step]
async fn opened(#[state] world: &World) -> Result<u32> {
    world.reached.notify_one();
    world.gate.notified().await;
    Ok(world.count())
}

/// All of them at once, and a step that ends in another life.
#[workflow]
async fn interrupted() -> Result<Vec<u32>> {
    let (sender, mut receiver) = sync::mpsc::unbounded_channel();
    let lock = sync::Mutex::new(Vec::new());
    let each = |number: u32| {
        let (sender, lock) = (sender.clone(), &lock);
        async move {
            let plus = combinators::add_one(number).await?;
            lock.lock().await.push(plus);
            sender.send(plus)?;
            Ok::<_, Failure>(plus)
        }
    };
    let results = workflow::map(0..20, each).concurrency(3);
    let opened = async {
        for result in results.await {
            result?;
        }
        opened().await
    };
    let first = receiver.next();
    let (opened, first) = tokio::join!(opened, first);
    let mut all = lock.into_inner();
    all.extend([first.unwrap_or(0), opened?]);
    Ok(all)
}

#[tokio::test]
async fn a_replay_sees_the_same_branches() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let grace = Duration::from_millis(20);
    let first = builder(&place, &world).shutdown_grace(grace).build().await.unwrap();
    first.start(interrupted().id("i")).await.unwrap();
    world.reached.notified().await;
    first.shutdown().await.unwrap();

    let second = runtime(&place, &world).await;
    world.gate.notify_one();
    let run = second.handle(interrupted, "i");
    let numbers = run.result().await.unwrap();
    assert_eq!((numbers.len(), numbers[21]), (22, 1));
    assert_eq!(numbers[0], numbers[20], "the first of the lock is the first of the channel");
}

/// Nothing in the workflow can complete it: only the outside could.
#[workflow]
async fn vouched_wrongly() -> Result<u32> {
    let (sender, receiver) = tokio::sync::oneshot::channel::<u32>();
    std::mem::forget(sender);
    Ok(workflow::assume_durable(receiver).await.unwrap_or(0))
}

#[tokio::test]
async fn a_run_that_only_the_outside_could_wake_is_blocked_all_the_same() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(vouched_wrongly()).await.unwrap();
    let blocked = run.blocked().await.unwrap();
    assert_eq!(run.status().await.unwrap(), Status::Blocked, "{blocked:?}");
    let report = blocked.unwrap();
    assert!(report.message().contains("`assume_durable` at tests/it/awaits/mod.rs:"), "{report}");
}

#[test]
fn what_is_vouched_for_holds_its_place_and_is_send_where_it_can_be() {
    fn is_send<F: DurableFuture + Send>(future: &F) -> usize {
        size_of_val(future)
    }
    let plain = async |number: u32| std::future::ready(number).await;
    let alone = is_send(&workflow::assume_durable(plain(1)));
    assert_eq!(alone, size_of_val(&plain(1)).next_multiple_of(8) + 8);
}

#[tokio::test]
async fn what_only_looks_like_a_hazard_works_as_it_is_written() {
    let words = || vec!["a".to_owned(), "bb".to_owned(), "a".to_owned()];
    assert_eq!(run(allowed::own_names(5)).await.unwrap(), 5 + 5 + 6 + 7 + 24);
    assert_eq!(run(allowed::loops(words())).await.unwrap(), 3 + 4 + 6 + 2 + 1 + 5 + 1 + 1);
    assert_eq!(run(allowed::tables(words())).await.unwrap(), 2 + 3 + 1 + 2 + 2 + 1);
    assert!(run(allowed::values(1)).await.unwrap());
    assert_eq!(run(allowed::allowed(words())).await.unwrap(), 3);
}
