//! Requests: asked, answered, refused, left open.

use std::time::Duration;

use workflow_runtime::testing::Sim;
use workflow_runtime::{FailureKind, Result, request, step, workflow};

#[request(reply = u32, validate = is_small)]
#[derive(Debug)]
struct Add {
    n: u32,
}

fn is_small(add: &Add) -> std::result::Result<(), String> {
    if add.n < 100 { Ok(()) } else { Err(format!("{} is too much", add.n)) }
}

#[step]
async fn request_noted(n: u32) -> Result<u32> {
    Ok(n)
}

#[workflow]
async fn request_sums(count: u32) -> Result<u32> {
    let mut sum = 0;
    for _ in 0..count {
        let add = workflow::requested::<Add>().await;
        if add.n == 13 {
            add.reject("not 13");
            continue;
        }
        sum += request_noted(add.n).await?;
        add.reply(sum);
    }
    Ok(sum)
}

#[workflow_runtime::test(
    crash = everywhere,
    schedules = 60,
    faults = [commit_error, reply_lost, slow_commit, zombie],
)]
async fn a_request_is_answered_once_whoever_crashes(sim: Sim) {
    let run = sim.start(request_sums(3)).await;
    assert_eq!(run.ask(Add { n: 1 }).message_id("one").await.unwrap(), 1);
    let refused = run.ask(Add { n: 13 }).message_id("two").await.unwrap_err();
    assert_eq!((refused.kind(), refused.to_string()), (FailureKind::Rejected, "not 13".into()));
    assert_eq!(run.ask(Add { n: 2 }).message_id("three").await.unwrap(), 3);
    assert_eq!(run.result().await.unwrap(), 3);
}

#[workflow_runtime::test]
async fn what_is_not_valid_is_refused_before_it_is_sent(sim: Sim) {
    let run = sim.start(request_sums(1)).await;
    let refused = run.ask(Add { n: 100 }).await.unwrap_err();
    assert_eq!(refused.kind(), FailureKind::Rejected);
    assert!(refused.to_string().contains("100 is too much"), "{refused}");
    assert_eq!(run.ask(Add { n: 9 }).await.unwrap(), 9);
}

#[workflow]
async fn request_asks(of: String, n: u32) -> Result<String> {
    match workflow::timeout(Duration::from_secs(60), workflow::ask(of, Add { n })).await {
        Ok(Ok(sum)) => Ok(format!("sum {sum}")),
        Ok(Err(failure)) => Ok(format!("{:?}", failure.kind())),
        Err(_) => Ok("too late".to_owned()),
    }
}

#[workflow_runtime::test(
    crash = everywhere,
    schedules = 60,
    faults = [commit_error, reply_lost, slow_commit, zombie],
)]
async fn a_workflow_asks_another_one(sim: Sim) {
    let sums = sim.start(request_sums(2).id("sums")).await;
    for (n, told) in [(5, "sum 5"), (13, "Rejected")] {
        let asks = sim.start(request_asks("sums".into(), n)).await;
        assert_eq!(asks.result().await.unwrap(), told);
    }
    assert_eq!(sums.result().await.unwrap(), 5);
    let late = sim.start(request_asks("sums".into(), 1)).await;
    assert_eq!(late.result().await.unwrap(), "Undelivered");
}

#[workflow]
async fn request_busy(answers: bool) -> Result<u32> {
    let add = workflow::requested::<Add>().await;
    workflow::sleep(Duration::from_secs(3_600)).await;
    if answers {
        add.reply(7);
    }
    Ok(1)
}

#[workflow_runtime::test(crash = everywhere)]
async fn who_waits_no_longer_finds_the_reply_under_the_same_id(sim: Sim) {
    let run = sim.start(request_busy(true)).await;
    let asking = || run.ask(Add { n: 1 }).message_id("slow");
    let late = asking().within(Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(late.kind(), FailureKind::Unfinished);
    assert_eq!(asking().await.unwrap(), 7);
}

#[workflow_runtime::test(crash = everywhere)]
async fn a_request_that_is_dropped_or_left_open_is_answered_with_that(sim: Sim) {
    let dropped = sim.start(request_busy(false).id("a")).await;
    let failure = dropped.ask(Add { n: 1 }).message_id("a").await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Rejected);
    // Not even taken.
    let ended = sim.start(request_sums(0).id("b")).await;
    ended.result().await.unwrap();
    let busy = sim.start(request_busy(true).id("c")).await;
    let asks = sim.start(request_asks("c".into(), 1)).await;
    sim.advance(Duration::from_secs(5)).await;
    busy.terminate().await.unwrap();
    assert_eq!(asks.result().await.unwrap(), "Unanswered");
}

#[workflow]
async fn request_two_at_once() -> Result<u32> {
    let first = workflow::requested::<Add>();
    let second = workflow::requested::<Add>();
    let (first, second) = tokio::join!(first, second);
    let sum = first.n + second.n;
    first.reply(sum);
    second.reply(sum);
    Ok(sum)
}

#[workflow_runtime::test(crash = everywhere)]
async fn a_request_may_come_before_its_run_is_started(sim: Sim) {
    let later = sim.handle(request_two_at_once, "later");
    let both = async {
        tokio::join!(
            later.ask(Add { n: 1 }).message_id("one").into_future(),
            later.ask(Add { n: 2 }).message_id("two").into_future()
        )
    };
    let started = async {
        sim.advance(Duration::from_secs(1)).await;
        sim.start(request_two_at_once().id("later")).await
    };
    let ((one, two), run) = tokio::join!(both, started);
    assert_eq!((one.unwrap(), two.unwrap(), run.result().await.unwrap()), (3, 3, 3));
}
