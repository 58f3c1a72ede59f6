//! W4: a process is killed, another goes on.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Notify;
use workflow_runtime::{Result, Runtime, step, workflow};

use crate::options::Options;
use crate::ours::{blocking, fail, median, now, url};
use crate::prefill;
use crate::table::{Aim, Row};

/// In its first life the last step of a run does not end.
pub(crate) static FIRST_LIFE: AtomicBool = AtomicBool::new(false);
pub(crate) static REACHED: AtomicU32 = AtomicU32::new(0);
static TOLD: Notify = Notify::const_new();

#[step]
async fn quick(n: u32) -> Result<u32> {
    Ok(n)
}

#[step]
async fn last(n: u32) -> Result<u32> {
    REACHED.fetch_add(1, Ordering::SeqCst);
    TOLD.notify_one();
    if FIRST_LIFE.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    Ok(n)
}

#[workflow]
pub(crate) async fn interrupted(steps: u32) -> Result<u32> {
    for n in 0..steps {
        quick(n).await?;
    }
    last(steps).await
}

pub(crate) const STEPS: u32 = 1_000;
pub(crate) const RUNS: u32 = 5_000;

pub(crate) async fn reached(count: u32) {
    while REACHED.load(Ordering::SeqCst) < count {
        TOLD.notified().await;
    }
}

/// Prepares a file and waits to be killed.
pub(crate) fn victim(args: &[String]) -> std::io::Result<()> {
    let [path, runs, steps] = args else { fail("victim <file> <runs> <steps>") };
    let number = |text: &str| text.parse().unwrap_or(1);
    let (runs, steps): (u32, u32) = (number(runs), number(steps));
    FIRST_LIFE.store(true, Ordering::SeqCst);
    blocking(async {
        let runtime = Runtime::builder(url(Path::new(path))).build().await?;
        let starts = (0..runs).map(|_| runtime.start(interrupted(steps)));
        for start in futures::future::join_all(starts).await {
            start?;
        }
        reached(runs).await;
        println!("ready");
        std::future::pending().await
    })
}

/// Runs the first life and kills it.
fn first_life(path: &Path, runs: u32, steps: u32) -> std::io::Result<()> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("victim")
        .arg(path)
        .args([runs.to_string(), steps.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().unwrap_or_else(|| fail("no output"));
    let line = BufReader::new(output).lines().next();
    child.kill()?;
    child.wait()?;
    match line {
        Some(Ok(line)) if line == "ready" => Ok(()),
        other => fail(&format!("the first life said {other:?}")),
    }
}

/// Milliseconds of a second life.
struct Life {
    /// From the call of `build` until the last steps run. A replay takes at
    /// most that.
    at_work: f64,
    /// The same, from the end of `build`.
    after_ready: f64,
    /// From the call of `build` until nothing is open.
    ended: f64,
}

fn second_life(path: &Path, runs: u32) -> Life {
    let before = REACHED.load(Ordering::SeqCst);
    blocking(async {
        let begun = now();
        let runtime = Runtime::builder(url(path)).build().await?;
        let ready = now();
        reached(before + runs).await;
        let (at_work, after_ready) = (begun.elapsed(), ready.elapsed());
        let file = Connection::open(path)?;
        let open = "select exists (select 1 from active)";
        while file.query_row(open, [], |row| row.get::<_, bool>(0))? {
            pause().await;
        }
        let ended = begun.elapsed();
        runtime.shutdown().await?;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Ok(Life { at_work: ms(at_work), after_ready: ms(after_ready), ended: ms(ended) })
    })
}

#[expect(clippy::disallowed_methods, reason = "it looks again")]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Both lives of so many runs, on a file of their own.
fn lives(options: &Options, filled: Option<&Path>, runs: u32, steps: u32) -> std::io::Result<Life> {
    let place = tempfile::tempdir_in(&options.folder)?;
    let path = place.path().join("killed.db");
    prefill::copy(filled, &path)?;
    first_life(&path, runs, steps)?;
    Ok(second_life(&path, runs))
}

/// The median of one figure.
fn middle(lives: &[Life], of: fn(&Life) -> f64) -> f64 {
    let mut figures: Vec<f64> = lives.iter().map(of).collect();
    median(&mut figures)
}

pub(crate) fn measure(options: &Options, filled: Option<&Path>) -> std::io::Result<()> {
    let (mut replays, mut recoveries) = (Vec::new(), Vec::new());
    let (mut empty_replays, mut empty_recoveries) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        eprintln!("W4 round {}", round + 1);
        if filled.is_some() {
            empty_replays.push(lives(options, None, 1, STEPS)?);
            empty_recoveries.push(lives(options, None, RUNS, 1)?);
        }
        replays.push(lives(options, filled, 1, STEPS)?);
        recoveries.push(lives(options, filled, RUNS, 1)?);
    }
    let built = middle(&replays, |life| life.at_work);
    Row {
        name: "W4 replay",
        sync: "FULL",
        unit: "ms",
        limit: None,
        ours: middle(&replays, |life| life.after_ready),
        empty: filled.map(|_| middle(&empty_replays, |life| life.after_ready)),
        aim: Some(Aim::AtMost(10.0)),
        note: format!("from ready until step {} runs; {built:.1} ms with build", STEPS + 1),
    }
    .print();
    let at_work = middle(&recoveries, |life| life.at_work);
    Row {
        name: "W4 resume",
        sync: "FULL",
        unit: "ms",
        limit: None,
        ours: middle(&recoveries, |life| life.ended),
        empty: filled.map(|_| middle(&empty_recoveries, |life| life.ended)),
        aim: Some(Aim::AtMost(1_000.0)),
        note: format!("from build until {RUNS} runs have ended; all at work after {at_work:.0} ms"),
    }
    .print();
    Ok(())
}
