//! Signals, requests and children, on both databases, across processes and kills.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use workflow_runtime::{Client, ErrorKind, FailureKind, Result, Status, workflow};
use workflow_tests::chance::Chance;
use workflow_tests::mail::{Count, Letter, collect, counter, tree};
use workflow_tests::schema::Schema;
use workflow_tests::{Place, lines};

use crate::fleet::{Worker, pause};
use crate::restart::Base;
use crate::steps::provided;

fn letter(sender: u32, n: u32) -> Letter {
    Letter { sender, n }
}

/// Each sender's letters came once, in their order.
fn check(all: &[(u32, u32)], senders: u32, each: u32) {
    let mut next: BTreeMap<u32, u32> = (0..senders).map(|sender| (sender, 0)).collect();
    for (sender, n) in all {
        let expected = next.get_mut(sender).expect("a known sender");
        assert_eq!(n, expected, "sender {sender}: out of order, lost or doubled");
        *expected += 1;
    }
    assert!(next.values().all(|got| *got == each), "{next:?}");
}

#[tokio::test]
async fn a_client_in_another_process_sends_asks_and_finds_the_dead_letters() {
    for base in Base::all() {
        let runtime = base.runtime().await;
        let client = base.builder().connect().await.unwrap();
        // Before it is started.
        client.send("c", letter(0, 0)).await.unwrap();
        let run = client.start(collect(3).id("c")).await.unwrap();
        for n in 1..5 {
            run.send(letter(0, n)).message_id(format!("m{n}")).await.unwrap();
            if n == 1 {
                run.send(letter(0, n)).message_id("m1").await.unwrap();
            }
            if n == 2 {
                assert_eq!(run.result().await.unwrap(), [(0, 0), (0, 1), (0, 2)]);
                break;
            }
        }
        let ended = run.send(letter(0, 9)).await.unwrap_err();
        assert_eq!(ended.kind(), ErrorKind::Ended);
        let counts = client.start(counter(2).id("n")).await.unwrap();
        assert_eq!(counts.ask(Count(5)).await.unwrap(), 5);
        // Asked again it is the same request.
        for _ in 0..2 {
            assert_eq!(client.ask("n", Count(2)).message_id("two").await.unwrap(), 7);
        }
        let late = counts.ask(Count(1)).await.unwrap_err();
        assert_eq!(late.kind(), FailureKind::Undelivered);
        // What a run leaves is kept for people.
        let waits = client.start(collect(9).id("w")).await.unwrap();
        waits.send(letter(7, 7)).await.unwrap();
        let left = client.start(counter(1).id("l")).await.unwrap();
        left.send(letter(1, 2)).await.unwrap();
        assert_eq!(left.ask(Count(3)).await.unwrap(), 3);
        left.result().await.unwrap();
        let letters = client.dead_letters().await.unwrap();
        let found = letters.iter().find(|one| one.id() == "l").expect("a dead letter");
        assert_eq!(found.kind(), "signal");
        assert_eq!(found.body(), Some("{\"sender\":1,\"n\":2}"));
        client.close().await;
        runtime.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_full_mailbox_and_a_large_signal_are_refused_at_the_edge() {
    for base in Base::all() {
        let runtime = base.builder().max_mailbox(3).max_payload(2_000).build().await.unwrap();
        let run = runtime.start(counter(1)).await.unwrap();
        for n in 0..3 {
            run.send(letter(0, n)).await.unwrap();
        }
        let full = run.send(letter(0, 3)).await.unwrap_err();
        assert_eq!(full.kind(), ErrorKind::MailboxFull);
        assert!(full.to_string().contains("is full"), "{full}");
        assert_eq!(run.ask(Count(1)).await.unwrap_err().kind(), FailureKind::Undelivered);
        runtime.shutdown().await.unwrap();
    }
}

#[workflow]
async fn shows(n: u32) -> Result<u32> {
    workflow::set_state(&vec![n])?;
    let Letter { n, .. } = workflow::receive().await;
    workflow::set_state(&vec![n, n])?;
    Ok(n)
}

#[tokio::test]
async fn what_a_run_shows_is_read_in_another_process() {
    for base in Base::all() {
        let runtime = base.runtime().await;
        let client = base.builder().connect().await.unwrap();
        let run = client.start(shows(1).id("s")).await.unwrap();
        let mut watch = client.handle(shows, "s").watch::<Vec<u32>>();
        assert_eq!(watch.next().await.unwrap(), Some(vec![1]));
        run.send(letter(0, 7)).await.unwrap();
        assert_eq!(watch.next().await.unwrap(), Some(vec![7, 7]));
        assert_eq!(watch.next().await.unwrap(), None);
        client.delete("s").await.unwrap();
        assert_eq!(run.state::<Vec<u32>>().await.unwrap(), None);
        client.close().await;
        runtime.shutdown().await.unwrap();
    }
}

/// What the workers of the fleet implement.
#[workflow(name = "tripled")]
async fn tripled_elsewhere(number: u32) -> Result<u32>;

#[workflow]
async fn triples_twice(number: u32) -> Result<u32> {
    let once = tripled_elsewhere(number).await?;
    tripled_elsewhere(once).await
}

#[tokio::test]
async fn a_workflow_that_is_only_declared_is_run_by_another_service() {
    let Some(schema) = Schema::new() else { return };
    let place = Place::new();
    let service = provided(schema.runtime(), &place, &std::sync::Arc::default());
    let service = service.build().await.unwrap();
    // Nobody has it yet.
    let early = service.start(tripled_elsewhere(1).id("early")).await.unwrap();
    assert_eq!(early.status().await.unwrap(), Status::Queued);
    let parent = service.start(triples_twice(5)).await.unwrap();
    let _other = Worker::start(&schema, &place);
    assert_eq!(early.result().await.unwrap(), 3);
    assert_eq!(parent.result().await.unwrap(), 45);
    assert_eq!(service.client().run(tripled_elsewhere(4)).await.unwrap(), 12);
    service.shutdown().await.unwrap();
}

#[workflow]
async fn overflows() -> Result<()> {
    let child = workflow::start(collect(1).id("child"));
    loop {
        workflow::sleep(Duration::ZERO).await;
        if child.id().is_empty() {
            return Ok(());
        }
    }
}

#[tokio::test]
async fn a_run_whose_history_is_full_ends_with_its_children() {
    for base in Base::all() {
        let runtime = base.builder().max_history(40).build().await.unwrap();
        let parent = runtime.start(overflows().id("parent")).await.unwrap();
        let full = parent.result().await.unwrap_err();
        assert_eq!(full.kind(), FailureKind::HistoryFull);
        let child = runtime.handle(collect, "child").result().await.unwrap_err();
        assert_eq!(child.kind(), FailureKind::Cancelled);
        runtime.shutdown().await.unwrap();
    }
}

/// So many letters of each of so many senders for each of the runs.
async fn send_all(client: &Client, runs: usize, senders: u32, each: u32) {
    let sending = (0..senders).map(|sender| async move {
        for n in 0..each {
            for run in 0..runs {
                let id = format!("{sender}-{n}-{run}");
                // Sent again as long as nobody says that it is there.
                while let Err(error) =
                    client.send(format!("run-{run}"), letter(sender, n)).message_id(&id).await
                {
                    let dead = client.dead_letters().await.unwrap();
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}; {dead:#?}");
                }
            }
        }
    });
    futures::future::join_all(sending).await;
}

/// How many letters come in all; long with `MAIL_LETTERS=100000`.
fn letters() -> usize {
    let wanted = std::env::var("MAIL_LETTERS").ok().map(|text| text.parse().expect("a number"));
    wanted.unwrap_or(4_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_come_once_and_in_order_while_workers_are_killed() {
    const SENDERS: u32 = 8;
    let Some(schema) = Schema::new() else { return };
    let mut chance = Chance::from_env("MAIL_SEED");
    let place = Place::new();
    let client = schema.runtime().connect().await.unwrap();
    let mut workers: Vec<Worker> = (0..3).map(|_| Worker::start(&schema, &place)).collect();
    let runs = if letters() >= 100_000 { 100 } else { 20 };
    let each = u32::try_from(letters() / runs / SENDERS as usize).unwrap();
    let started = (0..runs).map(|n| client.start(collect(SENDERS * each).id(format!("run-{n}"))));
    let started = futures::future::join_all(started).await;
    let ended = tokio::spawn({
        let client = client.clone();
        async move {
            send_all(&client, runs, SENDERS, each).await;
            for run in started {
                let all = run.unwrap().result().within(Duration::from_secs(120)).await.unwrap();
                check(&all, SENDERS, each);
            }
        }
    });
    let mut kills = 0;
    while !ended.is_finished() {
        pause(1_000).await;
        let victim = usize::try_from(chance.below(3)).unwrap();
        workers[victim] = Worker::start(&schema, &place);
        kills += 1;
        assert!(kills < 300.max(letters() / 50), "the letters do not arrive");
    }
    ended.await.unwrap();
    println!("{} letters, {kills} kills", runs as u32 * SENDERS * each);
}

#[tokio::test(flavor = "multi_thread")]
async fn children_run_once_while_workers_are_killed() {
    const TREES: u32 = 100;
    const CHILDREN: u32 = 5;
    let Some(schema) = Schema::new() else { return };
    let mut chance = Chance::from_env("MAIL_SEED");
    let place = Place::new();
    let client = schema.runtime().connect().await.unwrap();
    let mut workers: Vec<Worker> = (0..3).map(|_| Worker::start(&schema, &place)).collect();
    let starts =
        (0..TREES).map(|n| client.start(tree(format!("t{n}"), CHILDREN).id(format!("t{n}"))));
    let runs = futures::future::join_all(starts).await;
    let ended = tokio::spawn(async move {
        for run in runs {
            let sum = run.unwrap().result().within(Duration::from_secs(120)).await.unwrap();
            assert_eq!(sum, 2 * CHILDREN);
        }
    });
    let mut kills = 0;
    while !ended.is_finished() {
        pause(700).await;
        let victim = usize::try_from(chance.below(3)).unwrap();
        workers[victim] = Worker::start(&schema, &place);
        kills += 1;
        assert!(kills < 170, "the children do not end");
    }
    ended.await.unwrap();
    // Each child is one run: its effects have one key, however often they were tried.
    let ledger = lines(&place.path("ledger"));
    let keys: BTreeSet<&str> = ledger.iter().map(String::as_str).collect();
    assert_eq!(keys.len(), (TREES * CHILDREN * 2) as usize, "{kills} kills");
    let mut sql = schema.sql().await;
    let open: i64 =
        sqlx::query_scalar("select count(*) from active").fetch_one(&mut sql).await.unwrap();
    let unread: i64 =
        sqlx::query_scalar("select count(*) from mailbox").fetch_one(&mut sql).await.unwrap();
    assert_eq!((open, unread), (0, 0));
    println!("{kills} kills");
}
