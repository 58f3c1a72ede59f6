//! Signals: kept, taken once, in order, whatever happens.

use std::time::Duration;

use futures::StreamExt as _;
use workflow_runtime::testing::Sim;
use workflow_runtime::{ErrorKind, Failure, FailureKind, Result, Status, signal, step, workflow};

#[signal]
#[derive(Debug, PartialEq)]
struct Approval {
    by: String,
}

fn approval(by: &str) -> Approval {
    Approval { by: by.to_owned() }
}

#[signal(name = "number")]
struct Number(u32);

#[step]
async fn signal_noted(text: String) -> Result<String> {
    Ok(text)
}

#[workflow]
async fn signal_approved() -> Result<String> {
    let Approval { by } = workflow::receive().await;
    signal_noted(by).await
}

#[workflow_runtime::test(crash = everywhere)]
async fn a_signal_that_comes_while_the_run_waits_is_taken_once(sim: Sim) {
    let run = sim.start(signal_approved()).await;
    sim.settle().await;
    run.send(approval("Ada")).message_id("one").await.unwrap();
    run.send(approval("Ada")).message_id("one").await.unwrap();
    assert_eq!(run.result().await.unwrap(), "Ada");
}

#[workflow_runtime::test(crash = everywhere)]
async fn a_signal_wakes_a_run_that_left_memory(sim: Sim) {
    let run = sim.start(signal_approved()).await;
    sim.advance(Duration::from_secs(40 * 86_400)).await;
    assert_eq!(run.status().await.unwrap(), Status::Waiting);
    run.send(approval("Ada")).await.unwrap();
    assert_eq!(run.result().await.unwrap(), "Ada");
}

#[workflow_runtime::test(crash = everywhere)]
async fn a_signal_may_come_before_the_run_is_started(sim: Sim) {
    let later = sim.handle(signal_approved, "later");
    later.send(approval("Ada")).message_id("early").await.unwrap();
    later.send(approval("Ada")).message_id("early").await.unwrap();
    sim.advance(Duration::from_secs(60)).await;
    let run = sim.start(signal_approved().id("later")).await;
    assert_eq!(run.result().await.unwrap(), "Ada");
}

#[workflow]
async fn signal_sum(count: u32) -> Result<Vec<u32>> {
    let mut numbers = Vec::new();
    let mut signals = workflow::signals::<Number>();
    while numbers.len() < count as usize {
        let Some(Number(n)) = signals.next().await else { break };
        numbers.push(n);
        workflow::sleep(Duration::from_secs(1)).await;
    }
    Ok(numbers)
}

#[workflow_runtime::test(
    crash = everywhere,
    schedules = 100,
    faults = [commit_error, reply_lost, slow_commit, zombie],
)]
async fn signals_of_one_sender_come_in_order_and_none_is_lost_or_doubled(sim: Sim) {
    let run = sim.start(signal_sum(5)).await;
    for n in 0..5 {
        run.send(Number(n)).message_id(format!("n{n}")).await.unwrap();
    }
    assert_eq!(run.result().await.unwrap(), [0, 1, 2, 3, 4]);
}

#[workflow]
async fn signal_or_timeout() -> Result<String> {
    let waited = workflow::timeout(Duration::from_secs(3_600), workflow::receive::<Approval>());
    match waited.await {
        Ok(Approval { by }) => Ok(by),
        Err(_) => {
            let Number(n) = workflow::receive().await;
            Ok(format!("late {n}"))
        }
    }
}

#[workflow_runtime::test(crash = everywhere)]
async fn a_signal_and_a_timeout_race_and_a_signal_of_another_type_waits_for_its_turn(sim: Sim) {
    let run = sim.start(signal_or_timeout()).await;
    run.send(Number(7)).await.unwrap();
    assert_eq!(run.result().await.unwrap(), "late 7");
    let run = sim.start(signal_or_timeout()).await;
    sim.advance(Duration::from_secs(60)).await;
    run.send(approval("Ada")).await.unwrap();
    assert_eq!(run.result().await.unwrap(), "Ada");
}

/// The branch that is polled first is ready whenever the signal is.
#[workflow]
async fn signal_given_back() -> Result<Vec<u32>> {
    let first = {
        let (sender, receiver) = workflow::sync::oneshot::channel();
        let tells = async {
            let Number(n) = workflow::receive().await;
            sender.send(n).ok();
            std::future::pending::<()>().await;
        };
        let other = workflow::receive::<Number>();
        workflow::select! {
            n = receiver => n.unwrap_or_default(),
            Number(n) = other => n + 100,
            () = tells => 0,
        }
    };
    let Number(second) = workflow::receive().await;
    Ok(vec![first, second])
}

#[workflow_runtime::test(crash = everywhere, schedules = exhaustive(2_000))]
async fn a_signal_that_a_dropped_branch_did_not_take_goes_to_the_next(sim: Sim) {
    let run = sim.start(signal_given_back()).await;
    run.send(Number(1)).message_id("a").await.unwrap();
    run.send(Number(2)).message_id("b").await.unwrap();
    let numbers = run.result().await.unwrap();
    assert!([vec![101, 2], vec![1, 2]].contains(&numbers), "{numbers:?}");
}

#[workflow]
async fn signal_relay(to: String, numbers: Vec<u32>) -> Result<u32> {
    let mut sent = 0;
    for n in numbers {
        workflow::send(&to, Number(n)).await?;
        sent += 1;
    }
    Ok(sent)
}

#[workflow_runtime::test(
    crash = everywhere,
    schedules = 100,
    faults = [commit_error, reply_lost, slow_commit, zombie],
)]
async fn a_workflow_sends_each_signal_once(sim: Sim) {
    let receiver = sim.start(signal_sum(3).id("receiver")).await;
    let sender = sim.start(signal_relay("receiver".into(), vec![4, 5, 6])).await;
    assert_eq!(sender.result().await.unwrap(), 3);
    assert_eq!(receiver.result().await.unwrap(), [4, 5, 6]);
}

/// Its first attempt fails in the middle.
#[step(retry(attempts = 3))]
async fn signal_scan(to: String, numbers: Vec<u32>) -> Result<()> {
    for n in numbers {
        step::send(to.clone(), Number(n)).await?;
        if n == 1 && step::attempt() == 1 {
            return Err(Failure::new("the scanner hangs"));
        }
    }
    Ok(())
}

#[workflow]
async fn signal_scans(to: String) -> Result<()> {
    signal_scan(to, vec![0, 1, 2]).await
}

#[workflow_runtime::test(
    crash = everywhere,
    schedules = 100,
    faults = [commit_error, reply_lost, slow_commit, zombie],
)]
async fn a_step_sends_each_signal_once_however_often_it_is_tried(sim: Sim) {
    let sum = sim.start(signal_sum(3).id("sum")).await;
    let scans = sim.start(signal_scans("sum".to_owned())).await;
    assert_eq!(sum.result().await.unwrap(), [0, 1, 2]);
    scans.result().await.unwrap();
    assert_eq!(sim.client().dead_letters().await.unwrap().len(), 0);
    // It has ended: the step is told.
    let late = sim.start(signal_scans("sum".to_owned())).await;
    assert_eq!(late.result().await.unwrap_err().kind(), FailureKind::Undelivered);
    signal_scan("nobody".to_owned(), vec![0]).direct().await.unwrap();
}

#[workflow]
async fn signal_to_bad_ids() -> Result<Vec<String>> {
    let long = "x".repeat(513);
    let mut reasons = Vec::new();
    for id in ["", "a\0b", &long] {
        let sent = workflow::send(id, Number(1)).await.unwrap_err();
        let child = signal_approved().id(id).await.unwrap_err();
        let started = workflow::start(signal_approved().id(id)).await.unwrap_err();
        for failure in [sent, child, started] {
            assert_eq!(failure.kind(), FailureKind::Unstorable);
            reasons.push(failure.to_string());
        }
    }
    Ok(reasons)
}

#[workflow_runtime::test]
async fn an_id_that_cannot_be_stored_is_refused_where_it_is_given(sim: Sim) {
    let reasons = sim.start(signal_to_bad_ids()).await.result().await.unwrap();
    let words = ["this one has 0", "no NUL character", "this one has 513"];
    for (reasons, word) in reasons.chunks(3).zip(words) {
        assert!(reasons.iter().all(|reason| reason.contains(word)), "{reasons:?}");
    }
}

#[workflow_runtime::test(crash = everywhere)]
async fn what_cannot_be_delivered_is_a_typed_failure_of_the_sender(sim: Sim) {
    let receiver = sim.start(signal_sum(0).id("done")).await;
    receiver.result().await.unwrap();
    let sender = sim.start(signal_relay("done".into(), vec![1])).await;
    let failure = sender.result().await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Undelivered);
    assert!(failure.to_string().contains("run `done` has ended"), "{failure}");
    let error = receiver.send(Number(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ended);
}

#[workflow]
async fn signal_restarts(round: u32, sum: u32) -> Result<u32> {
    if round == 3 {
        return Ok(sum);
    }
    let Number(n) = workflow::receive().await;
    workflow::restart_with(signal_restarts(round + 1, sum * 10 + n)).await
}

#[workflow_runtime::test(crash = everywhere)]
async fn what_a_generation_did_not_take_is_the_next_ones(sim: Sim) {
    let run = sim.start(signal_restarts(0, 0)).await;
    for n in 1..=3 {
        run.send(Number(n)).message_id(format!("n{n}")).await.unwrap();
    }
    assert_eq!(run.result().await.unwrap(), 123);
}

#[workflow]
async fn shows_progress(steps: u32) -> Result<()> {
    for n in 0..steps {
        workflow::set_state(&n)?;
        workflow::set_state(&(n + 1))?;
        signal_noted(n.to_string()).await?;
    }
    Ok(())
}

#[workflow_runtime::test(
    crash = everywhere,
    schedules = 60,
    faults = [commit_error, reply_lost, slow_commit, zombie],
)]
async fn what_a_run_shows_goes_with_its_turns(sim: Sim) {
    let run = sim.start(shows_progress(3)).await;
    let mut watch = run.watch::<u32>();
    let mut seen = Vec::new();
    while let Some(n) = watch.next().await.unwrap() {
        seen.push(n);
    }
    assert!(seen.is_sorted() && seen.last() == Some(&3), "{seen:?}");
    assert!(!seen.contains(&0), "of one turn the last is seen: {seen:?}");
    assert_eq!(run.state::<u32>().await.unwrap(), Some(3));
    let error = run.state::<Vec<String>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(sim.handle(shows_progress, "nobody").state::<u32>().await.unwrap(), None);
}
