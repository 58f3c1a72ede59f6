//! A process to kill. `victim <mode> <database> <ledger> ..`; what it says on
//! standard output was acknowledged by the runtime.

#![expect(clippy::print_stdout, reason = "its output is how it acknowledges")]
#![expect(clippy::disallowed_methods, reason = "its steps take real time")]

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use workflow_runtime::testing::CrashPoint;
use workflow_runtime::{
    Durability, ErrorKind, Failure, Filter, Handle, Result, Runtime, Status, durable, step,
    workflow,
};
use workflow_tests::{Ledger, runtime, served};

/// Which life of the database this process is: its writer number.
static LIFE: OnceLock<i64> = OnceLock::new();

/// Where a step ends the process, if it does.
static CRASH_IN: OnceLock<String> = OnceLock::new();

async fn life() -> i64 {
    loop {
        match LIFE.get() {
            Some(life) => return *life,
            None => tokio::task::yield_now().await,
        }
    }
}

/// An effect: a line `life run key stage input token`. Returns the token, which
/// is another in every attempt.
#[step]
async fn mark(#[state] ledger: &Ledger, stage: String, input: String) -> Result<String> {
    let life = life().await;
    let token = uuid::Uuid::new_v4().simple().to_string();
    let millis = u64::from(token.as_bytes()[0] % 4);
    tokio::time::sleep(Duration::from_millis(millis)).await;
    let (run, key) = (step::workflow_id(), step::idempotency_key());
    ledger.write(&format!("{life} {run} {key} {stage} {input} {token}"));
    Ok(token)
}

#[workflow]
async fn web(number: u64) -> Result<String> {
    let first = mark("a".into(), number.to_string()).await?;
    let branch = async {
        let left = mark("b".into(), first.clone()).await?;
        mark("c".into(), left).await
    };
    let (left, right) = tokio::join!(branch, mark("d".into(), first.clone()));
    workflow::sleep(Duration::from_millis(number % 7)).await;
    mark("e".into(), format!("{}+{}", left?, right?)).await
}

/// Three steps, each an effect, with places to die before and after it.
#[step]
async fn count(#[state] ledger: &Ledger, name: String) -> Result<()> {
    let dies = |place: &str| CRASH_IN.get().is_some_and(|at| *at == format!("{place}-{name}"));
    if dies("before") {
        std::process::abort();
    }
    ledger.write(&name);
    if dies("after") {
        std::process::abort();
    }
    Ok(())
}

#[workflow]
async fn three() -> Result<u32> {
    count("one".into()).await?;
    count("two".into()).await?;
    count("three".into()).await?;
    Ok(3)
}

/// How long each customer's steps take: flipped from life to life.
#[step]
async fn quote(customer: String) -> Result<String> {
    delay(&customer).await;
    Ok(format!("quote-{customer}"))
}

#[step]
async fn charge(quote: String) -> Result<String> {
    delay(&quote).await;
    Ok(format!("charge-{quote}"))
}

async fn delay(text: &str) {
    let slow = life().await % 2 == 0;
    let millis = if text.ends_with("alice") == slow { 6 } else { 1 };
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[durable]
async fn purchase(customer: &str) -> Result<String> {
    charge(quote(customer.to_owned()).await?).await
}

#[workflow]
async fn two_customers() -> Result<Vec<String>> {
    let (alice, bob) = tokio::join!(purchase("alice"), purchase("bob"));
    Ok(vec![alice?, bob?])
}

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [mode, database, ledger, rest @ ..] = &args[..] else {
        return Err(Failure::new("victim <mode> <database> <ledger> .."));
    };
    let mut builder = runtime(Path::new(database)).state(Ledger::open(Path::new(ledger)));
    if let Some((place, at)) = rest.first().and_then(|point| point.split_once('=')) {
        builder = match place {
            "before-commit" => builder.crash_at(CrashPoint::BeforeCommit(at.parse()?)),
            "after-commit" => builder.crash_at(CrashPoint::AfterCommit(at.parse()?)),
            _ => {
                let known = CRASH_IN.set(at.to_owned());
                known.map_err(|_| Failure::new("set once"))?;
                builder
            }
        };
    }
    if rest.first().is_some_and(|word| word == "process-crash") {
        builder = builder.durability(Durability::ProcessCrash);
    }
    let builder = builder.park_after(Duration::from_millis(3));
    let runtime = builder.probation(Duration::from_millis(30)).build().await?;
    let known = LIFE.set(writer(database).await?);
    known.map_err(|_| Failure::new("set once"))?;
    match mode.as_str() {
        "web" => start_webs(&runtime, rest).await?,
        "three" => println!("{}", runtime.start(three().id("it")).await?.result().await?),
        "two-customers" => {
            let run = runtime.start(two_customers().id("it")).await?;
            println!("{}", run.result().await?.join(" "));
        }
        "serve" => serve().await?,
        "sleepers" => sleepers(&runtime, rest).await?,
        "power" => start_without_end(&runtime).await?,
        "poison" => start_poison(&runtime, rest).await?,
        other => return Err(Failure::new(format!("unknown mode {other}"))),
    }
    runtime.shutdown().await?;
    Ok(())
}

/// The number that the runtime of this process took.
async fn writer(database: &str) -> Result<i64> {
    let mut connection = SqliteConnectOptions::new().filename(database).connect().await?;
    let query = sqlx::query_scalar("select next - 1 from counters where name = 'writers'");
    Ok(query.fetch_one(&mut connection).await?)
}

/// Starts webs `from..to`, says each that is accepted, and waits for all that
/// were ever started, which is for numbers below `to`.
async fn start_webs(runtime: &Runtime, range: &[String]) -> Result<()> {
    let [from, to] = range else { return Err(Failure::new("web .. <from> <to>")) };
    let (from, to): (u64, u64) = (from.parse()?, to.parse()?);
    for number in from..to {
        let run = runtime.start(web(number).id(format!("web-{number}"))).await?;
        println!("{}", run.id());
    }
    for number in 0..to {
        let run = runtime.handle(web, format!("web-{number}"));
        match run.result().await {
            Ok(_) => {}
            Err(failure) if failure.kind() == workflow_runtime::FailureKind::NotFound => {}
            Err(failure) => return Err(failure),
        }
    }
    println!("all ended");
    Ok(())
}

/// Runs what others start, until it is killed.
async fn serve() -> Result<()> {
    println!("serves");
    std::future::pending().await
}

/// Starts many that take long and, last, the one that ends the process; in a
/// later life only runs them.
async fn start_poison(runtime: &Runtime, args: &[String]) -> Result<()> {
    let [count, file] = args else { return Err(Failure::new("poison .. <count> <file>")) };
    for number in 0..count.parse()? {
        let run = served::long_one(number, file.into()).id(format!("long-{number}"));
        runtime.start(run).await?;
    }
    if count != "0" {
        runtime.start(served::poison().id("poison")).await?;
    }
    serve().await
}

/// Starts runs, eight at a time, and says of each that it was accepted and that
/// it ended.
async fn start_without_end(runtime: &Runtime) -> Result<()> {
    let starters = (0..8_u32).map(|lane| {
        let runtime = runtime.clone();
        tokio::spawn(async move {
            for number in 0.. {
                let run = accepted(&runtime, lane, number).await?;
                println!("start {}", run.id());
                run.result().await?;
                println!("end {}", run.id());
            }
            Ok::<_, Failure>(())
        })
    });
    for starter in starters.collect::<Vec<_>>() {
        starter.await??;
    }
    Ok(())
}

/// Starts until the start is accepted: on a sick disk it may be that no run
/// number can be reserved.
async fn accepted(runtime: &Runtime, lane: u32, number: u32) -> Result<Handle<u32>> {
    loop {
        let call = served::doubled(number).id(format!("{lane}-{number}"));
        match runtime.start(call).await {
            Ok(run) => return Ok(run),
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(Failure::from(error)),
        }
    }
}

/// Kilobytes of this process in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Starts so many runs that sleep for a day, 64 at a time, and says what they
/// cost when all are asleep.
async fn sleepers(runtime: &Runtime, args: &[String]) -> Result<()> {
    let [count] = args else { return Err(Failure::new("sleepers .. <count>")) };
    let count: u64 = count.parse()?;
    let idle = resident();
    let starters = (0..64).map(|n| {
        let runtime = runtime.clone();
        tokio::spawn(async move {
            for _ in 0..(count - n).div_ceil(64) {
                runtime.start(served::long_sleep()).await?;
            }
            Ok::<_, Failure>(())
        })
    });
    for starter in starters.collect::<Vec<_>>() {
        starter.await??;
    }
    let waiting = || Filter::new().status(Status::Running).page_size(1);
    while !runtime.client().list(waiting()).await?.runs().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{}", resident().saturating_sub(idle));
    Ok(())
}
