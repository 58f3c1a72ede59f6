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

/// In its first life the last step of a run does not end.
static FIRST_LIFE: AtomicBool = AtomicBool::new(false);
static REACHED: AtomicU32 = AtomicU32::new(0);
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
async fn interrupted(steps: u32) -> Result<u32> {
    for n in 0..steps {
        quick(n).await?;
    }
    last(steps).await
}

const STEPS: u32 = 1_000;
const RUNS: u32 = 5_000;

async fn reached(count: u32) {
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

/// The second life: milliseconds from before `build` and from after it until
/// the last steps run, and until nothing is open.
fn second_life(path: &Path, runs: u32) -> (f64, f64, f64) {
    let before = REACHED.load(Ordering::SeqCst);
    blocking(async {
        let begun = now();
        let runtime = Runtime::builder(url(path)).build().await?;
        let ready = now();
        reached(before + runs).await;
        let run = (begun.elapsed(), ready.elapsed());
        let file = Connection::open(path)?;
        while file.query_row("select count(*) from active", [], |row| row.get::<_, u32>(0))? > 0 {
            pause().await;
        }
        let all = begun.elapsed();
        runtime.shutdown().await?;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Ok((ms(run.0), ms(run.1), ms(all)))
    })
}

#[expect(clippy::disallowed_methods, reason = "it looks again")]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

pub(crate) fn measure(options: &Options, filled: Option<&Path>) -> std::io::Result<()> {
    let (mut replays, mut waits, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..options.rounds.max(1) {
        eprintln!("W4 round {}", round + 1);
        let place = tempfile::tempdir_in(&options.folder)?;
        let one = place.path().join("one.db");
        prefill::copy(filled, &one)?;
        first_life(&one, 1, STEPS)?;
        let (_, ready, _) = second_life(&one, 1);
        replays.push(ready);
        let many = place.path().join("many.db");
        prefill::copy(filled, &many)?;
        first_life(&many, RUNS, 1)?;
        let (begun, _, all) = second_life(&many, RUNS);
        waits.push(begun);
        ends.push(all);
    }
    let met = |met: bool| if met { "met" } else { "MISSED" };
    let (replay, end) = (median(&mut replays), median(&mut ends));
    println!(
        "W4       FULL    {STEPS} steps replayed, step {} runs {replay:.1} ms after ready (aim 10) {}",
        STEPS + 1,
        met(replay <= 10.0)
    );
    println!(
        "W4       FULL    {RUNS} runs: all at work after {:.0} ms, ended after {end:.0} ms (aim \
         1,000) {}",
        median(&mut waits),
        met(end <= 1_000.0)
    );
    Ok(())
}
