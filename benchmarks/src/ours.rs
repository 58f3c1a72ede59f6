//! The workloads on this library.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use workflow_runtime::{Builder, Durability, Failure, Result, Runtime, step, workflow};

use crate::{Figure, Workload, cpu};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Order {
    id: u64,
    sku: String,
    amount: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Receipt {
    id: u64,
    amount: i64,
}

#[step]
async fn charge_card(order: Order) -> Result<Receipt> {
    Ok(Receipt { id: order.id, amount: order.amount + 1 })
}

#[workflow]
async fn checkout(order: Order) -> Result<i64> {
    let a = charge_card(order.clone()).await?;
    let b = charge_card(order.clone()).await?;
    let c = charge_card(order).await?;
    Ok(a.amount + b.amount + c.amount)
}

#[workflow]
async fn many(order: Order, steps: u32) -> Result<i64> {
    let mut sum = 0;
    for _ in 0..steps {
        sum += charge_card(order.clone()).await?.amount;
    }
    Ok(sum)
}

#[workflow]
async fn fan(order: Order, steps: u32) -> Result<i64> {
    let all = futures::future::join_all((0..steps).map(|_| charge_card(order.clone()))).await;
    all.into_iter().map(|receipt| receipt.map(|receipt| receipt.amount)).sum()
}

fn order(id: u64) -> Order {
    Order { id, sku: "espresso".to_owned(), amount: 250 }
}

/// Steps of W2 and W6.
const STEPS: u32 = 1_000;
pub(crate) fn url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

/// Runs `work` on a tokio runtime of its own.
pub(crate) fn blocking<T>(work: impl Future<Output = Result<T>>) -> T {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let tokio = tokio.unwrap_or_else(|error| fail(&error.to_string()));
    tokio.block_on(work).unwrap_or_else(|failure| fail(&failure.to_string()))
}

pub(crate) fn measure(
    workload: Workload,
    path: &Path,
    full: bool,
    time: Duration,
    gap: Duration,
) -> Figure {
    let durability = if full { Durability::Full } else { Durability::ProcessCrash };
    on(workload, Runtime::builder(url(path)).durability(durability), time, gap)
}

pub(crate) fn on(workload: Workload, builder: Builder, time: Duration, gap: Duration) -> Figure {
    blocking(async {
        let runtime = builder.build().await?;
        let before = cpu::now();
        let (value, units) = match workload {
            Workload::W1(in_flight) => throughput(&runtime, time, in_flight).await?,
            Workload::W2 => sequence(&runtime, time).await?,
            Workload::W3 => latency(&runtime, time, gap).await?,
            Workload::W6 => fan_out(&runtime, time).await?,
        };
        let cpu = cpu::now().since(&before);
        runtime.shutdown().await?;
        Ok(Figure { value, cpu, units })
    })
}

pub(crate) fn fail(error: &str) -> ! {
    eprintln!("the benchmark failed: {error}");
    std::process::exit(1)
}

/// Workflows a second; workflows.
async fn throughput(runtime: &Runtime, time: Duration, in_flight: usize) -> Result<(f64, f64)> {
    let begun = now();
    let clients = (0..in_flight as u64).map(|client| {
        let runtime = runtime.clone();
        tokio::spawn(async move {
            let mut done = 0_u32;
            while begun.elapsed() < time {
                let run = runtime.start(checkout(order(client))).await?;
                assert_eq!(run.result().await?, 753);
                done += 1;
            }
            Ok::<_, Failure>(done)
        })
    });
    let mut done = 0;
    for client in clients.collect::<Vec<_>>() {
        done += client.await??;
    }
    Ok((f64::from(done) / begun.elapsed().as_secs_f64(), f64::from(done)))
}

/// Microseconds a step, of the median run; steps.
async fn sequence(runtime: &Runtime, time: Duration) -> Result<(f64, f64)> {
    let (begun, mut runs) = (now(), Vec::new());
    while begun.elapsed() < time || runs.is_empty() {
        let one = now();
        let run = runtime.start(many(order(1), STEPS)).await?;
        assert_eq!(run.result().await?, i64::from(STEPS) * 251);
        runs.push(one.elapsed().as_secs_f64() * 1e6 / f64::from(STEPS));
    }
    Ok((median(&mut runs), f64::from(STEPS) * count(&runs)))
}

/// Milliseconds from a start to its result, of the median run; workflows.
async fn latency(runtime: &Runtime, time: Duration, gap: Duration) -> Result<(f64, f64)> {
    let (begun, mut runs) = (now(), Vec::new());
    while begun.elapsed() < time {
        pause(gap).await;
        let one = now();
        let run = runtime.start(many(order(1), 1)).await?;
        assert_eq!(run.result().await?, 251);
        runs.push(one.elapsed().as_secs_f64() * 1e3);
    }
    Ok((median(&mut runs), count(&runs)))
}

#[expect(clippy::disallowed_methods, reason = "an idle system needs time")]
pub(crate) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Milliseconds, of the median run; steps.
async fn fan_out(runtime: &Runtime, time: Duration) -> Result<(f64, f64)> {
    let (begun, mut runs) = (now(), Vec::new());
    while begun.elapsed() < time {
        let one = now();
        let run = runtime.start(fan(order(1), STEPS)).await?;
        assert_eq!(run.result().await?, i64::from(STEPS) * 251);
        runs.push(one.elapsed().as_secs_f64() * 1e3);
    }
    Ok((median(&mut runs), f64::from(STEPS) * count(&runs)))
}

pub(crate) fn median(all: &mut [f64]) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

fn count(all: &[f64]) -> f64 {
    u32::try_from(all.len()).map_or(f64::NAN, f64::from)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
