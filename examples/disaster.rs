//! A disaster: two workers on a Postgres with a synchronous standby, orders
//! that keep coming, and a primary that is destroyed from one moment to the
//! next. The standby is promoted, everything goes on by itself, and nothing
//! that was acknowledged is lost.
//!
//! ```sh
//! cargo run --example disaster
//! ```
//!
//! It starts both servers itself, from the programs of a Postgres on this
//! machine, and takes half a minute. Exit code 0: every acknowledged order was
//! shipped, and no card charged twice.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use workflow_runtime::{Client, Failure, Result, Runtime, step, workflow};
use workflow_test_postgres::{Cluster, Copying, Settings};

/// So long orders come.
const LENGTH: Duration = Duration::from_secs(14);
/// When the primary is destroyed, and when somebody promotes the standby.
const DESTROYED: Duration = Duration::from_secs(5);
const PROMOTED: Duration = Duration::from_secs(7);
/// An order comes that often.
const PACE: Duration = Duration::from_millis(5);

/// The card company: a file for each charge, once for each idempotency key.
struct Cards(PathBuf);

#[step(retry(attempts = 5))]
async fn charge(#[state] cards: &Cards, order: u32) -> Result<u32> {
    let charge = cards.0.join(format!("{order} {}", step::idempotency_key()));
    match OpenOptions::new().write(true).create_new(true).open(charge) {
        Ok(_charged) => Ok(order),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(order),
        Err(error) => Err(error.into()),
    }
}

#[step]
async fn ship(order: u32) -> Result<String> {
    tokio::time::sleep(Duration::from_millis(10)).await;
    Ok(format!("parcel {order}"))
}

/// Charges, waits for the packer, ships.
#[workflow]
async fn order(number: u32) -> Result<String> {
    let charged = charge(number).await?;
    workflow::sleep(Duration::from_millis(u64::from(number % 10) * 100)).await;
    ship(charged).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [worker, url, folder] if worker == "--worker" => serve(url, Path::new(folder)).await,
        [] => direct().await,
        _ => Err(Failure::new("disaster takes no arguments")),
    }
}

/// One worker, until whoever started it is gone.
async fn serve(url: &str, folder: &Path) -> Result<()> {
    let cards = Cards(folder.to_path_buf());
    let runtime = Runtime::builder(url).lease(Duration::from_secs(2)).state(cards).build().await?;
    let parent = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    // Its input ends with its parent.
    let _ended = parent.await;
    runtime.shutdown().await?;
    Ok(())
}

fn start_worker(url: &str, folder: &Path) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--worker", url]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::null());
    Ok(command.stderr(Stdio::null()).spawn()?)
}

/// What is known of the orders.
#[derive(Default)]
struct Orders {
    started: u32,
    acknowledged: BTreeSet<u32>,
    shipped: BTreeSet<u32>,
    /// When the standby was promoted, and how long after that a start was
    /// acknowledged.
    promoted: Option<Instant>,
    first_after: Option<Duration>,
}

type Shared = Arc<Mutex<Orders>>;

fn look<T>(orders: &Shared, at: impl FnOnce(&mut Orders) -> T) -> T {
    at(&mut orders.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Starts an order and waits until it is shipped.
async fn one(client: Client, number: u32, orders: Shared) -> Result<()> {
    let run = client.start(order(number).id(format!("order-{number}"))).await?;
    look(&orders, |orders| {
        orders.acknowledged.insert(number);
        if let (Some(promoted), None) = (orders.promoted, orders.first_after) {
            orders.first_after = Some(promoted.elapsed());
        }
    });
    run.result().await?;
    look(&orders, |orders| orders.shipped.insert(number));
    Ok(())
}

async fn direct() -> Result<()> {
    println!("starting a primary and a synchronous standby ..");
    let settings = Settings { durable: true, ..Settings::default() };
    let primary = Cluster::start(&settings).map_err(Failure::new)?;
    let standby = primary.standby(primary.port(), Copying::Synchronous).map_err(Failure::new)?;
    let [one_port, other] = [primary.port(), standby.port()];
    let url = format!(
        "postgres://postgres@127.0.0.1:{one_port},127.0.0.1:{other}/postgres?\
         target_session_attrs=read-write"
    );
    let folder = std::env::temp_dir().join(format!("disaster-cards-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut workers = vec![start_worker(&url, &folder)?, start_worker(&url, &folder)?];
    let client = Runtime::builder(&url).connect().await?;
    let orders = Shared::default();
    let scene = Scene { primary, standby, orders: Arc::clone(&orders), client: client.clone() };
    let played = scene.play().await;
    for worker in &mut workers {
        drop(worker.stdin.take());
        worker.wait()?;
    }
    client.close().await;
    let judged = played.and_then(|()| judge(&orders, &folder));
    std::fs::remove_dir_all(&folder)?;
    judged
}

/// The servers, the orders, and what is shown of them.
struct Scene {
    primary: Cluster,
    standby: Cluster,
    orders: Shared,
    client: Client,
}

impl Scene {
    /// Feeds the workers, and destroys the primary in the middle of it.
    async fn play(self) -> Result<()> {
        let (begun, mut running) = (Instant::now(), tokio::task::JoinSet::new());
        let (mut table, mut act) = (Table::default(), "all is well");
        let mut promotion = None;
        while begun.elapsed() < LENGTH {
            let number = look(&self.orders, |orders| {
                orders.started += 1;
                orders.started
            });
            running.spawn(one(self.client.clone(), number, Arc::clone(&self.orders)));
            tokio::time::sleep(PACE).await;
            if begun.elapsed() > DESTROYED && act == "all is well" {
                act = "the primary is destroyed";
                self.primary.destroy().map_err(Failure::new)?;
            } else if begun.elapsed() > PROMOTED && promotion.is_none() {
                act = "the standby is promoted";
                self.standby.promote().map_err(Failure::new)?;
                promotion = Some(Instant::now());
                look(&self.orders, |orders| orders.promoted = promotion);
            }
            table.show(begun, act, &self.client, &self.orders)?;
        }
        while let Some(ended) = running.join_next().await {
            ended??;
            table.show(begun, "the last orders", &self.client, &self.orders)?;
        }
        Ok(())
    }
}

/// A table that is drawn over itself.
#[derive(Default)]
struct Table {
    drawn: usize,
    last: Option<Instant>,
    shown: String,
}

impl Table {
    fn show(&mut self, begun: Instant, act: &str, client: &Client, orders: &Shared) -> Result<()> {
        let on_screen = std::io::stdout().is_terminal();
        let is_soon = self.last.is_some_and(|last| last.elapsed() < Duration::from_millis(200));
        if is_soon || (!on_screen && self.shown == act) {
            return Ok(());
        }
        (self.last, self.shown) = (Some(Instant::now()), act.to_owned());
        let health = client.health();
        let database = match health.trouble {
            Some(trouble) => format!("does not answer for {:.1} s", trouble.lasts.as_secs_f64()),
            None => "answers".to_owned(),
        };
        let latency = health.commit_latency.unwrap_or_default().as_secs_f64() * 1_000.0;
        let waits = health.oldest_waiting.unwrap_or_default().as_secs_f64();
        let (started, acknowledged, shipped) = look(orders, |orders| {
            (orders.started, orders.acknowledged.len(), orders.shipped.len())
        });
        let lines = [
            format!("{:>5.1} s   {act}", begun.elapsed().as_secs_f64()),
            format!("  database      {database}"),
            format!("  last commit   {latency:.1} ms, oldest that waits {waits:.1} s"),
            format!(
                "  orders        {started} placed, {acknowledged} acknowledged, {shipped} shipped"
            ),
        ];
        if on_screen && self.drawn > 0 {
            // Back to where it begins.
            print!("\x1b[{}A\x1b[J", self.drawn);
        }
        println!("{}", lines.join("\n"));
        std::io::stdout().flush()?;
        self.drawn = lines.len();
        Ok(())
    }
}

/// Whether anything was lost or done twice.
fn judge(orders: &Shared, folder: &Path) -> Result<()> {
    let mut charges = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        charges.push(name.split(' ').next().unwrap_or_default().parse::<u32>()?);
    }
    let charged: BTreeSet<u32> = charges.iter().copied().collect();
    look(orders, |orders| {
        println!(
            "\n{} orders acknowledged, {} shipped, {} charges; first acknowledged {:.2} s after the \
             promotion",
            orders.acknowledged.len(),
            orders.shipped.len(),
            charges.len(),
            orders.first_after.unwrap_or_default().as_secs_f64()
        );
        let all = orders.acknowledged == orders.shipped && orders.shipped == charged;
        if all && charged.len() == charges.len() && orders.first_after.is_some() {
            println!("nothing was lost, and nothing was done twice");
            return Ok(());
        }
        Err(Failure::new("an order was lost, or a card charged twice"))
    })
}
