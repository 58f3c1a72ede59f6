//! What a workflow runs at the same time: `select!`, `map`, channels and locks.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use workflow_runtime::workflow::sync::{Mutex, Notify, Semaphore, mpsc, oneshot};
use workflow_runtime::{Failure, Result, step, workflow};

use super::combinators::add_one;

#[workflow]
pub(super) async fn biased(rounds: u32) -> Result<Vec<u32>> {
    let mut wins = vec![0, 0, 0];
    for round in 0..rounds {
        let mut last = std::future::ready(2);
        let winner = workflow::select! {
            Some(number) = std::future::ready(None::<usize>) => number,
            number = std::future::ready(0), if round % 2 == 0 => number,
            number = async { 1 } => number,
            number = &mut last => number,
            else => 7,
        };
        wins[winner] += 1;
    }
    let none = workflow::select! {
        Some(number) = std::future::ready(None::<u32>) => number,
        else => add_one(40).await?,
    };
    wins.push(none);
    let handled = workflow::select! {
        number = add_one(1) => {
            let number = number?;
            add_one(number).await?
        }
        () = workflow::sleep(Duration::from_secs(60)) => 0,
    };
    wins.push(handled);
    Ok(wins)
}

pub(super) static RUNNING: AtomicU32 = AtomicU32::new(0);
pub(super) static MOST: AtomicU32 = AtomicU32::new(0);

/// Later items are done sooner.
#[step]
#[expect(clippy::disallowed_methods, reason = "the step takes real time")]
async fn slow(item: u32) -> Result<u32> {
    let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
    MOST.fetch_max(running, Ordering::SeqCst);
    let millis = 20_u32.saturating_sub(item * 2);
    tokio::time::sleep(Duration::from_millis(millis.into())).await;
    RUNNING.fetch_sub(1, Ordering::SeqCst);
    if item == 3 {
        return Err(Failure::new("no third"));
    }
    Ok(item * 10)
}

#[workflow]
pub(super) async fn mapped(limit: usize) -> Result<Vec<String>> {
    let (started, ended, most) = (Cell::new(0_u32), Cell::new(0_u32), Cell::new(0_u32));
    let each = |item: u32| {
        started.set(started.get() + 1);
        most.set(most.get().max(started.get() - ended.get()));
        let ended = &ended;
        async move {
            let result = slow(item).await;
            ended.set(ended.get() + 1);
            result.map_or_else(|failure| failure.to_string(), |number| number.to_string())
        }
    };
    let mut all = workflow::map(0..9, each).concurrency(limit).await;
    all.push(most.get().to_string());
    Ok(all)
}

#[workflow]
pub(super) async fn mapped_by_a_step(numbers: Vec<u32>) -> Result<Vec<u32>> {
    let all: Vec<Result<u32>> = workflow::map(numbers, add_one).await;
    all.into_iter().collect()
}

/// What has not started when the rest is dropped never starts.
#[workflow]
pub(super) async fn mapped_and_dropped() -> Result<Vec<u32>> {
    let begun = RefCell::new(Vec::new());
    let each = |number: u32| {
        begun.borrow_mut().push(number);
        async move {
            if number > 1 {
                workflow::sleep(Duration::from_secs(3_600)).await;
            }
            number
        }
    };
    let all = workflow::map(0..10, each).concurrency(2);
    let out = workflow::timeout(Duration::from_millis(20), all).await;
    assert!(out.is_err());
    Ok(begun.into_inner())
}

/// A pipeline whose parts wait for each other.
#[workflow]
pub(super) async fn piped(count: u32) -> Result<Vec<u32>> {
    let (numbers, mut receiver) = mpsc::channel(1);
    let (results, mut done) = mpsc::unbounded_channel();
    let (told, tell) = (Notify::new(), Notify::new());
    let (last, end) = oneshot::channel();
    let produce = async move {
        for number in 0..count {
            numbers.send(number).await?;
        }
        Ok::<_, Failure>(())
    };
    let work = async {
        tell.notified().await;
        while let Some(number) = receiver.recv().await {
            if results.send(add_one(number).await?).is_err() {
                break;
            }
        }
        drop(results);
        told.notified().await;
        let _ = last.send(add_one(99).await?);
        Ok(())
    };
    let direct = async {
        tell.notify_one();
        told.notify_one();
        Ok(end.await?)
    };
    let ((), (), end) = tokio::try_join!(produce, work, direct)?;
    let mut all = Vec::new();
    while let Some(number) = done.recv().await {
        all.push(number);
    }
    all.push(end);
    Ok(all)
}

/// Each reads, awaits and writes: without the lock, writes would be lost.
#[workflow]
pub(super) async fn locked() -> Result<(u32, u32)> {
    let (sum, permits) = (Mutex::new(0), Semaphore::new(2));
    let (inside, most) = (Cell::new(0_u32), Cell::new(0_u32));
    let each = |number: u32| {
        let (sum, permits, inside, most) = (&sum, &permits, &inside, &most);
        async move {
            let permit = permits.acquire().await;
            inside.set(inside.get() + 1);
            most.set(most.get().max(inside.get()));
            let mut held = sum.lock().await;
            let before = *held;
            *held = before + add_one(number).await?;
            drop(held);
            inside.set(inside.get() - 1);
            drop(permit);
            Ok::<_, Failure>(())
        }
    };
    for result in workflow::map(0..5, each).await {
        result?;
    }
    Ok((sum.into_inner(), most.get()))
}
