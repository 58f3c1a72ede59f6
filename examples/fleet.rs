//! A fleet: three worker processes on one Postgres, orders that keep coming,
//! and somebody who kills a worker every second. Every order ends, and no card
//! is charged twice.
//!
//! ```sh
//! cargo run --example fleet -- postgres://user@host/database
//! cargo run --example fleet -- postgres://user@host/database 5000   # orders
//! ```
//!
//! It makes a schema `fleet` and takes less than a minute. Exit code 0: every
//! order ran to its end, and none twice.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::fs::OpenOptions;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use workflow_runtime::{Client, Failure, Result, Runtime, step, workflow};

const WORKERS: usize = 3;
const ORDERS: u32 = 1_500;
/// A worker that shows no sign of life for so long is dead.
const LEASE: Duration = Duration::from_secs(1);

/// The card company: a folder with a file for each charge. It charges once for
/// each idempotency key, as such companies do.
struct Cards(PathBuf);

impl Cards {
    fn charge(&self, order: &str, key: &str) -> Result<()> {
        let charge = self.0.join(format!("{order} {key}"));
        match OpenOptions::new().write(true).create_new(true).open(charge) {
            Ok(_charged) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[step]
async fn reserve(order: u32) -> Result<u32> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(order * 10)
}

#[step(retry(attempts = 5))]
async fn charge(#[state] cards: &Cards, cents: u32) -> Result<u32> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    cards.charge(&step::workflow_id(), &step::idempotency_key())?;
    Ok(cents)
}

#[step]
async fn ship(order: u32) -> Result<String> {
    Ok(format!("parcel {order}"))
}

/// Reserves, charges, waits for the packer, ships.
#[workflow]
async fn order(number: u32) -> Result<String> {
    let cents = reserve(number).await?;
    charge(cents).await?;
    workflow::sleep(Duration::from_millis(u64::from(number % 10) * 200)).await;
    ship(number).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [worker, url, folder] if worker == "--worker" => serve(url, Path::new(folder)).await,
        [url] => direct(url, ORDERS).await,
        [url, orders] => direct(url, orders.parse()?).await,
        _ => Err(Failure::new("fleet <postgres://user@host/database> [orders]")),
    }
}

fn runtime(url: &str, folder: &Path) -> workflow_runtime::Builder {
    let cards = Cards(folder.to_path_buf());
    Runtime::builder(url).schema("fleet").lease(LEASE).state(cards)
}

/// One worker: it runs until it is killed, or whoever started it is gone.
async fn serve(url: &str, folder: &Path) -> Result<()> {
    let builder = runtime(url, folder).probation(Duration::from_millis(200));
    let runtime = builder.park_after(Duration::from_millis(50)).build().await?;
    let parent = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    // Its input ends with its parent.
    let _ended = parent.await;
    runtime.shutdown().await?;
    Ok(())
}

struct Worker {
    process: Child,
    since: Instant,
    deaths: u32,
}

fn start_worker(url: &str, folder: &Path) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--worker", url]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::null());
    // What a killed worker leaves behind it the others complain about.
    Ok(command.stderr(Stdio::null()).spawn()?)
}

/// Feeds the fleet, kills its workers, and shows how it goes.
async fn direct(url: &str, orders: u32) -> Result<()> {
    let batch = since_1970().as_secs();
    let folder = std::env::temp_dir().join(format!("fleet-cards-{batch}"));
    std::fs::create_dir_all(&folder)?;
    let client = Runtime::builder(url).schema("fleet").connect().await?;
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        let process = start_worker(url, &folder)?;
        workers.push(Worker { process, since: Instant::now(), deaths: 0 });
    }
    let feeding = tokio::spawn(feed(client.clone(), batch, orders));
    let mut board = Board::new(orders);
    let mut killed = Instant::now();
    while !feeding.is_finished() {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let ended = u32::try_from(charges(&folder)?.len())?;
        board.show(&workers, ended)?;
        if killed.elapsed() > Duration::from_secs(1) {
            killed = Instant::now();
            let victim = since_1970().subsec_micros() as usize;
            let worker = &mut workers[victim % WORKERS];
            worker.process.kill()?;
            worker.process.wait()?;
            let deaths = worker.deaths + 1;
            *worker =
                Worker { process: start_worker(url, &folder)?, since: Instant::now(), deaths };
        }
    }
    let shipped = feeding.await??;
    for worker in &mut workers {
        worker.process.kill()?;
        worker.process.wait()?;
    }
    client.close().await;
    let charges = charges(&folder)?;
    board.end(&workers, shipped, &charges)?;
    std::fs::remove_dir_all(&folder)?;
    let good = shipped == orders && is_each_once(&charges, orders);
    if good { Ok(()) } else { Err(Failure::new("an order was lost, or a card charged twice")) }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Starts all orders, a hundred at a time, and waits until all have ended.
async fn feed(client: Client, batch: u64, orders: u32) -> Result<u32> {
    let mut shipped = 0;
    let numbers: Vec<u32> = (0..orders).collect();
    let mut runs = Vec::new();
    for some in numbers.chunks(100) {
        let starts = some.iter().map(|n| client.start(order(*n).id(format!("{batch}-{n}"))));
        for run in futures::future::join_all(starts).await {
            runs.push(run?);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for run in runs {
        run.result().await?;
        shipped += 1;
    }
    Ok(shipped)
}

/// The charges of the card company: `order key`.
fn charges(folder: &Path) -> Result<Vec<String>> {
    let mut charges = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        charges.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(charges)
}

fn is_each_once(charges: &[String], orders: u32) -> bool {
    let mut charged: Vec<&str> = charges.iter().filter_map(|one| one.split(' ').next()).collect();
    charged.sort_unstable();
    charged.dedup();
    charged.len() == charges.len() && charged.len() == orders as usize
}

/// The table.
struct Board {
    orders: u32,
    begun: Instant,
    drawn: usize,
    on_screen: bool,
}

impl Board {
    fn new(orders: u32) -> Self {
        let on_screen = std::io::stdout().is_terminal();
        Self { orders, begun: Instant::now(), drawn: 0, on_screen }
    }

    fn show(&mut self, workers: &[Worker], charged: u32) -> Result<()> {
        if !self.on_screen {
            return Ok(());
        }
        if self.drawn > 0 {
            // Back to where it begins.
            print!("\x1b[{}A\x1b[J", self.drawn);
        }
        let lines = self.lines(workers, charged);
        println!("{}", lines.join("\n"));
        std::io::stdout().flush()?;
        self.drawn = lines.len();
        Ok(())
    }

    fn lines(&self, workers: &[Worker], charged: u32) -> Vec<String> {
        let mut lines =
            vec![format!("{:<8} {:>9} {:>10} {:>7}", "worker", "process", "alive for", "killed")];
        for (n, worker) in workers.iter().enumerate() {
            let alive = format!("{:.1} s", worker.since.elapsed().as_secs_f64());
            let process = worker.process.id();
            lines.push(format!("{:<8} {process:>9} {alive:>10} {:>7}", n + 1, worker.deaths));
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        let done = (charged * 40 / self.orders.max(1)) as usize;
        lines.push(String::new());
        lines.push(format!("[{}{}]", "#".repeat(done), ".".repeat(40 - done.min(40))));
        let a_second = f64::from(charged) / seconds;
        lines.push(format!(
            "{charged} of {} charged, {a_second:.0} a second, {seconds:.0} s",
            self.orders
        ));
        lines
    }

    fn end(&mut self, workers: &[Worker], shipped: u32, charges: &[String]) -> Result<()> {
        self.show(workers, u32::try_from(charges.len())?)?;
        let deaths: u32 = workers.iter().map(|worker| worker.deaths).sum();
        println!(
            "\n{shipped} of {} orders shipped, {} charges, {deaths} workers killed, {:.0} s",
            self.orders,
            charges.len(),
            self.begun.elapsed().as_secs_f64()
        );
        Ok(())
    }
}
