//! Several processes on one file: clients beside an owner, and a run that
//! brings down whoever runs it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use workflow_runtime::{Client, CommandOutcome, ErrorKind, FailureKind, Filter, Handle, Status};
use workflow_tests::Place;
use workflow_tests::served::{doubled, long_one, long_sleep, poison};

/// A process of our own; killed with the test.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        // It may be dead already.
        let _dead = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn victim(place: &Place, mode: &str, args: &[&str]) -> Victim {
    let child = Command::new(env!("CARGO_BIN_EXE_victim"))
        .arg(mode)
        .args([place.path("test.db"), place.path("ledger")])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    Victim(child.expect("a victim"))
}

/// One that serves, once it does.
fn owner(place: &Place) -> Victim {
    let mut owner = victim(place, "serve", &[]);
    let output = owner.0.stdout.take().expect("its output");
    let line = BufReader::new(output).lines().next();
    assert_eq!(line.expect("it serves").expect("it serves"), "serves");
    owner
}

async fn until(run: &Handle<u32>, status: Status) {
    while run.status().await.unwrap() != status {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_starts_reads_and_cancels_beside_the_owner() {
    let place = Place::new();
    let _owner = owner(&place);
    let client = place.runtime().connect().await.unwrap();
    let run = client.start(doubled(21).id("it").meta("tenant", "a")).await.unwrap();
    assert_eq!(run.result().await.unwrap(), 42);
    assert_eq!(client.start(doubled(21).id("it")).await.unwrap().result().await.unwrap(), 42);
    let taken = client.start(doubled(22).id("it")).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    assert_eq!(run.meta().await.unwrap()["tenant"], "a");

    let asleep = client.start(long_sleep()).await.unwrap();
    until(&asleep, Status::Waiting).await;
    assert_eq!(asleep.cancel().by("ada").await.unwrap(), CommandOutcome::Accepted);
    assert_eq!(asleep.result().await.unwrap_err().kind(), FailureKind::Cancelled);

    let file = place.path("never");
    let busy = client.start(long_one(1, file.clone())).await.unwrap();
    until(&busy, Status::Running).await;
    busy.cancel().await.unwrap();
    assert_eq!(busy.result().await.unwrap_err().kind(), FailureKind::Cancelled);

    let ended = client.start(long_one(2, file)).await.unwrap();
    until(&ended, Status::Running).await;
    ended.terminate().await.unwrap();
    assert_eq!(ended.result().await.unwrap_err().kind(), FailureKind::Cancelled);
    client.close().await;
    assert_eq!(client.start(doubled(1)).await.unwrap_err().kind(), ErrorKind::ShutDown);
}

#[tokio::test]
async fn what_is_started_without_an_owner_waits_for_one() {
    let place = Place::new();
    let client = place.runtime().connect().await.unwrap();
    let run = client.start(doubled(4)).await.unwrap();
    assert_eq!(run.status().await.unwrap(), Status::Queued);
    let failure = run.result().within(Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Unfinished);
    let _owner = owner(&place);
    assert_eq!(run.result().await.unwrap(), 8);
}

/// The median time from a start by another process to its result, in
/// milliseconds.
async fn notice(client: &Client) -> u128 {
    let mut times = Vec::new();
    for number in 0..21 {
        let begun = now();
        let run = client.start(doubled(number)).await.unwrap();
        assert_eq!(run.result().await.unwrap(), number * 2);
        times.push(begun.elapsed().as_millis());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

#[expect(clippy::disallowed_methods, reason = "it measures")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn the_owner_notices_what_others_write() {
    let place = Place::new();
    let _owner = owner(&place);
    let client = place.runtime().connect().await.unwrap();
    let median = notice(&client).await;
    println!("start to result from another process: {median} ms, median of 21");
    // Without notice it would be found with the next poll, after 5 s; the end
    // would be found after 1 s.
    assert!(median < 500, "{median} ms");
}

#[tokio::test]
async fn of_a_poison_among_long_runs_only_the_poison_ends_dead() {
    let (place, many) = (Place::new(), 100);
    let file = place.path("go");
    let mut lives = 0;
    let client = place.runtime().connect().await.unwrap();
    let bad = client.handle(poison, "poison");
    let _last = loop {
        let count = if lives == 0 { many.to_string() } else { "0".to_owned() };
        let mut life = victim(&place, "poison", &[&count, file.to_str().unwrap()]);
        lives += 1;
        assert!(lives < 20, "the poison is not found");
        let dead = loop {
            if life.0.try_wait().unwrap().is_some() {
                break false;
            }
            // In the first life it is not there yet.
            if bad.status().await.is_ok_and(|status| status == Status::Dead) {
                break true;
            }
            pause().await;
        };
        if dead {
            break life;
        }
    };
    println!("dead after {lives} lives");
    let letters = client.dead_letters().await.unwrap();
    assert_eq!((letters.len(), letters[0].id()), (1, "poison"));
    assert_eq!(bad.result().await.unwrap_err().kind(), FailureKind::Dead);
    std::fs::write(&file, "").unwrap();
    for number in 0..many {
        let run = client.handle(long_one, format!("long-{number}"));
        let result = run.result().within(Duration::from_secs(60)).await;
        assert_eq!(result.unwrap(), number * 2);
    }
    let list = async |filter: Filter| client.list(filter).await.unwrap().runs().len();
    assert_eq!(list(Filter::new().status(Status::Dead)).await, 1);
    assert_eq!(list(Filter::new().status(Status::Completed).workflow(long_one)).await, 100);
    assert_eq!(list(Filter::new().id_prefix("poi")).await, 1);
    // Redriven it does it again.
    assert_eq!(client.redrive("poison").await.unwrap(), CommandOutcome::Accepted);
    while bad.status().await.unwrap() == Status::Dead {
        pause().await;
    }
}

#[expect(clippy::disallowed_methods, reason = "it looks again")]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}
