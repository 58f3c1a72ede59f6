//! W5: what sleeping runs cost, and how they wake. In a process of its own, so
//! that its memory is its own.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use workflow_runtime::{Failure, Result, Runtime, Timestamp, workflow};

use crate::options::Options;
use crate::ours::{blocking, fail, now, url};
use crate::prefill;

#[workflow]
async fn sleeper(until: i64) -> Result<u32> {
    workflow::sleep_until(Timestamp::from_millis(until)).await;
    Ok(1)
}

/// Starts in flight at one time.
const IN_FLIGHT: u64 = 256;

pub(crate) fn measure(options: &Options, filled: Option<&Path>) -> std::io::Result<()> {
    eprintln!("W5 {} sleepers", options.sleepers);
    let place = tempfile::tempdir_in(&options.folder)?;
    let path = place.path().join("sleepers.db");
    prefill::copy(filled, &path)?;
    let mut child = Command::new(std::env::current_exe()?);
    let status = child.arg("sleepers").arg(&path).arg(options.sleepers.to_string()).status()?;
    if !status.success() {
        fail("the sleepers failed");
    }
    Ok(())
}

pub(crate) fn child(args: &[String]) -> std::io::Result<()> {
    let [path, count] = args else { fail("sleepers <file> <count>") };
    let count: u64 = count.parse().unwrap_or(1_000);
    let path = Path::new(path);
    blocking(async {
        let runtime = Runtime::builder(url(path)).park_after(Duration::ZERO).build().await?;
        let file = Connection::open(path)?;
        pause(Duration::from_millis(300)).await;
        let idle = resident();
        // Long enough for all to be accepted before the first one wakes.
        let until = wall() + 3_000 + i64::try_from(count / 4).unwrap_or(0);
        start(&runtime, count, until).await?;
        let asleep = "select count(*) from active where owner is null";
        wait_for(&file, asleep, count).await?;
        let cost = resident().saturating_sub(idle);
        let early = until - wall();
        while wall() < until {
            pause(Duration::from_millis(5)).await;
        }
        let begun = now();
        wait_for(&file, "select count(*) from active", 0).await?;
        let took = begun.elapsed().as_secs_f64();
        runtime.shutdown().await?;
        let met = if cost < 40 << 10 { "met" } else { "MISSED" };
        println!(
            "W5       FULL    {count} sleeping runs cost {:.1} MB over idle (aim 40) {met}; asleep \
             {early} ms before they were due, all had ended {took:.2} s after: {:.0} a second",
            cost as f64 / 1024.0,
            count as f64 / took
        );
        Ok(())
    });
    Ok(())
}

async fn start(runtime: &Runtime, count: u64, until: i64) -> Result<()> {
    let starters = (0..IN_FLIGHT.min(count)).map(|n| {
        let (runtime, share) = (runtime.clone(), (count - n).div_ceil(IN_FLIGHT.min(count)));
        tokio::spawn(async move {
            for _ in 0..share {
                runtime.start(sleeper(until)).await?;
            }
            Ok::<_, Failure>(())
        })
    });
    for starter in starters.collect::<Vec<_>>() {
        starter.await??;
    }
    Ok(())
}

async fn wait_for(file: &Connection, query: &str, count: u64) -> Result<()> {
    while file.query_row(query, [], |row| row.get::<_, i64>(0))? != count.cast_signed() {
        pause(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Kilobytes in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn wall() -> i64 {
    i64::try_from(crate::limit::wall().as_millis()).unwrap_or(i64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "it waits for real time")]
async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}
