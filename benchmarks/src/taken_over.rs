//! W4 on Postgres: a worker is killed, and another takes over.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use workflow_runtime::{Failure, Result, Runtime};

use crate::killed::{FIRST_LIFE, REACHED, RUNS, STEPS, interrupted, reached};
use crate::options::Options;
use crate::ours::{blocking, fail, median, now, pause};
use crate::postgres::{connect, new_schema};
use crate::table::{Aim, Row};

const LEASE: Duration = Duration::from_secs(1);

/// `postgres-victim <url> <schema> <runs> <steps>`: prepares runs and waits to
/// be killed.
pub(crate) fn victim(args: &[String]) -> std::io::Result<()> {
    let [url, schema, runs, steps] = args else {
        fail("postgres-victim <url> <schema> <runs> <steps>")
    };
    let number = |text: &str| text.parse().unwrap_or_else(|_| fail("not a number"));
    let (runs, steps): (u32, u32) = (number(runs), number(steps));
    FIRST_LIFE.store(true, Ordering::SeqCst);
    blocking(async {
        let runtime = Runtime::builder(url).schema(schema).lease(LEASE).build().await?;
        let starts = (0..runs).map(|_| runtime.start(interrupted(steps)));
        for start in futures::future::join_all(starts).await {
            start?;
        }
        reached(runs).await;
        println!("ready");
        std::future::pending::<Result<()>>().await
    });
    Ok(())
}

fn first_life(url: &str, schema: &str, runs: u32, steps: u32) -> std::io::Result<Child> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["postgres-victim", url, schema, &runs.to_string(), &steps.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().unwrap_or_else(|| fail("no output"));
    match BufReader::new(output).lines().next() {
        Some(Ok(line)) if line == "ready" => Ok(child),
        other => fail(&format!("the first life said {other:?}")),
    }
}

/// Milliseconds of a second life.
struct Life {
    /// From the end of the first worker until the takeover.
    waited: f64,
    /// From the takeover until the last steps run.
    at_work: f64,
    /// From the takeover until nothing is open.
    ended: f64,
}

/// Both lives of so many runs, in a schema of their own.
fn lives(url: &str, runs: u32, steps: u32) -> std::io::Result<Life> {
    let schema = new_schema();
    let mut child = first_life(url, &schema, runs, steps)?;
    let before = REACHED.load(Ordering::SeqCst);
    Ok(blocking(async {
        let runtime = Runtime::builder(url).schema(&schema).lease(LEASE).build().await?;
        child.kill()?;
        child.wait()?;
        let killed = now();
        let client = connect(url).await;
        client.batch_execute(&format!("set search_path to {schema}")).await?;
        let count = async |what: &str| {
            let text = format!("select count(*) from active{what}");
            Ok::<i64, Failure>(client.query_one(&text, &[]).await?.get(0))
        };
        let held = " join workers on writer = owner where live";
        let dead = " join workers on writer = owner where not live";
        // Declared dead, given free, or already in new hands.
        let first = count(held).await?;
        let (mut taken, mut is_taken) = (now(), false);
        while !is_taken {
            pause(Duration::from_millis(1)).await;
            taken = now();
            is_taken = count(held).await? < first
                || count(dead).await? > 0
                || REACHED.load(Ordering::SeqCst) > before;
        }
        let waited = killed.elapsed();
        reached(before + runs).await;
        let at_work = taken.elapsed();
        while count("").await? > 0 {
            pause(Duration::from_millis(2)).await;
        }
        let ended = taken.elapsed();
        runtime.shutdown().await?;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Ok(Life { waited: ms(waited), at_work: ms(at_work), ended: ms(ended) })
    }))
}

/// The median of one figure.
fn middle(lives: &[Life], of: fn(&Life) -> f64) -> f64 {
    let mut figures: Vec<f64> = lives.iter().map(of).collect();
    median(&mut figures)
}

pub(crate) fn measure(url: &str, options: &Options) -> std::io::Result<()> {
    let (mut replays, mut recoveries) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        eprintln!("W4 postgres round {}", round + 1);
        replays.push(lives(url, 1, STEPS)?);
        recoveries.push(lives(url, RUNS, 1)?);
    }
    let row = |name, ours, aim, note| Row {
        name,
        sync: "PG",
        unit: "ms",
        limit: None,
        ours,
        empty: None,
        aim,
        note,
    };
    let until = format!("from the takeover until step {} runs", STEPS + 1);
    row("W4 replay", middle(&replays, |life| life.at_work), None, until).print();
    let until = format!(
        "from the takeover until {RUNS} runs have ended; it came {:.0} ms after the kill, with a lease \
         of {} ms",
        middle(&recoveries, |life| life.waited),
        LEASE.as_millis()
    );
    let ended = middle(&recoveries, |life| life.ended);
    row("W4 resume", ended, Some(Aim::AtMost(1_000.0)), until).print();
    Ok(())
}
