//! W5: what sleeping runs cost, and how they wake. In a process of its own, so
//! that its memory is its own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use workflow_runtime::{Failure, Result, Runtime, Timestamp, workflow};

use crate::options::Options;
use crate::ours::{blocking, fail, now, pause, url};
use crate::postgres::{connect, new_schema};
use crate::prefill;
use crate::table::{Aim, Row};

#[workflow]
async fn sleeper(until: i64) -> Result<u32> {
    workflow::sleep_until(Timestamp::from_millis(until)).await;
    Ok(1)
}

/// Starts in flight at one time.
const IN_FLIGHT: u64 = 256;

const ASLEEP: &str = "select count(*) from active where owner is null";
const OPEN: &str = "select count(*) from active";

/// What the child measured.
struct Slept {
    megabytes: f64,
    /// How long before they were due all were asleep.
    early_ms: f64,
    /// From the moment they were due until the last had ended.
    woken_ms: f64,
}

/// Where they sleep.
enum Bed {
    File(Connection),
    Server(tokio_postgres::Client),
}

impl Bed {
    async fn open(url: &str, schema: &str) -> Result<Self> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            return Ok(Self::File(Connection::open(path)?));
        }
        let client = connect(url).await;
        client.batch_execute(&format!("set search_path to {schema}")).await?;
        Ok(Self::Server(client))
    }

    async fn rows(&self, query: &str) -> Result<i64> {
        Ok(match self {
            Self::File(file) => file.query_row(query, [], |row| row.get(0))?,
            Self::Server(client) => client.query_one(query, &[]).await?.get(0),
        })
    }
}

pub(crate) fn measure(options: &Options, filled: Option<&Path>) -> std::io::Result<()> {
    let on = |filled| {
        let place = tempfile::tempdir_in(&options.folder)?;
        let path = place.path().join("sleepers.db");
        prefill::copy(filled, &path)?;
        one(options, &url(&path), "")
    };
    let empty = if filled.is_some() { Some(on(None)?) } else { None };
    report(options, "FULL", &on(filled)?, empty.as_ref());
    Ok(())
}

/// `filled`: a schema with finished runs.
pub(crate) fn on_postgres(
    url: &str,
    options: &Options,
    filled: Option<String>,
) -> std::io::Result<()> {
    let slept = one(options, url, &new_schema())?;
    match filled {
        Some(schema) => report(options, "PG", &one(options, url, &schema)?, Some(&slept)),
        None => report(options, "PG", &slept, None),
    }
    Ok(())
}

fn report(options: &Options, sync: &'static str, slept: &Slept, empty: Option<&Slept>) {
    let count = options.sleepers;
    Row {
        name: "W5 memory",
        sync,
        unit: "MB",
        limit: None,
        ours: slept.megabytes,
        empty: empty.map(|empty| empty.megabytes),
        aim: Some(Aim::AtMost(40.0)),
        note: format!(
            "{count} sleeping runs over idle; all asleep {:.0} ms before they were due",
            slept.early_ms
        ),
    }
    .print();
    Row {
        name: "W5 wake",
        sync,
        unit: "ms",
        limit: None,
        ours: slept.woken_ms,
        empty: empty.map(|empty| empty.woken_ms),
        aim: Some(Aim::AtMost(options.wake.as_secs_f64() * 1e3)),
        note: format!(
            "all due at once, until the last has ended: {:.0} a second",
            count as f64 / slept.woken_ms * 1e3
        ),
    }
    .print();
}

fn one(options: &Options, url: &str, schema: &str) -> std::io::Result<Slept> {
    eprintln!("W5 {} sleepers", options.sleepers);
    let (sleep, wake) = (options.sleep.as_millis(), options.wake.as_millis());
    let output = Command::new(std::env::current_exe()?)
        .args(["sleepers", url, schema])
        .args([options.sleepers.to_string(), sleep.to_string(), wake.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [megabytes, early_ms, woken_ms] = figures[..] else {
        fail(&format!("the sleepers failed: {} {said}", output.status))
    };
    Ok(Slept { megabytes, early_ms, woken_ms })
}

/// `sleepers <url> <schema> <count> <sleep> <wake>`, times in milliseconds; a
/// file has no schema. Says the three figures.
pub(crate) fn child(args: &[String]) -> std::io::Result<()> {
    let [url, schema, rest @ ..] = args else { fail("sleepers <url> <schema> ..") };
    let numbers: Vec<i64> = rest.iter().filter_map(|text| text.parse().ok()).collect();
    let [count, sleep, wake] = numbers[..] else { fail("sleepers .. <count> <sleep> <wake>") };
    blocking(async {
        let builder = Runtime::builder(url).park_after(Duration::ZERO);
        let builder = if schema.is_empty() { builder } else { builder.schema(schema) };
        let runtime = builder.build().await?;
        let bed = Bed::open(url, schema).await?;
        pause(Duration::from_millis(300)).await;
        let idle = resident();
        let due = wall() + sleep;
        start(&runtime, count.unsigned_abs(), due).await?;
        while bed.rows(ASLEEP).await? != count {
            if wall() >= due {
                fail("they were due before all were asleep: give a longer --sleep-ms");
            }
            pause(Duration::from_millis(10)).await;
        }
        let cost = resident().saturating_sub(idle);
        let early = due - wall();
        while wall() < due {
            pause(Duration::from_millis(1)).await;
        }
        let begun = now();
        loop {
            let open = bed.rows(OPEN).await?;
            if open == 0 {
                break;
            }
            if wall() > due + wake {
                fail(&format!("{open} still sleep {wake} ms after they were due"));
            }
            pause(Duration::from_millis(10)).await;
        }
        let woken = begun.elapsed().as_secs_f64() * 1e3;
        runtime.shutdown().await?;
        println!("{:.1} {early} {woken:.1}", cost as f64 / 1024.0);
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
