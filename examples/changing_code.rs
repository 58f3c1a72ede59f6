//! A deploy changes the code of a workflow while orders are in flight: what is
//! seen before the deploy, what happens without `workflow::patched`, and with it.
//!
//! ```sh
//! cargo run --example changing_code
//! ```
//!
//! Three builds of one shop run one after the other, on a file of their own:
//! version 1 takes an order and goes away; version 2 charges a deposit before it
//! ships; version 3 is version 2 with the change said.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use workflow_runtime::{BlockedKind, Result, Runtime, Status, step, workflow};

/// Which build this is: it stands for the deploy, so that one program can be
/// all three. Code of yours has no such thing.
static BUILD: AtomicU32 = AtomicU32::new(1);

fn build() -> u32 {
    BUILD.load(Ordering::SeqCst)
}

#[step]
async fn reserve(order: u32) -> Result<String> {
    println!("    reserve order {order}");
    Ok(format!("shelf {}", order + 4))
}

#[step]
async fn charge_deposit(order: u32) -> Result<()> {
    println!("    charge a deposit for order {order}");
    Ok(())
}

#[step]
async fn ship(order: u32, shelf: String) -> Result<String> {
    if build() == 1 {
        // The carrier does not answer today: this is where the deploy meets it.
        std::future::pending::<()>().await;
    }
    println!("    ship order {order} from {shelf}");
    Ok(format!("order {order} left {shelf}"))
}

#[workflow]
async fn deliver(order: u32) -> Result<String> {
    let shelf = reserve(order).await?;
    let build = workflow::nondeterministic!("it stands for the deploy", build());
    if build == 2 || (build == 3 && workflow::patched("deposit")) {
        charge_deposit(order).await?;
    }
    ship(order, shelf).await
}

async fn deploy(version: u32) -> Result<Runtime> {
    BUILD.store(version, Ordering::SeqCst);
    let builder = Runtime::builder("sqlite://changing_code.db");
    let builder = builder.build_id(format!("v{version}")).shutdown_grace(Duration::ZERO);
    Ok(builder.build().await?)
}

async fn check(version: u32) -> Result<bool> {
    BUILD.store(version, Ordering::SeqCst);
    let builder = Runtime::builder("sqlite://changing_code.db").build_id(format!("v{version}"));
    let report = builder.check().await?;
    println!("  {}", report.to_string().trim_end().replace('\n', "\n  "));
    Ok(report.is_good())
}

async fn until(run: &workflow_runtime::Handle<String>, status: Status) -> Result<()> {
    while run.status().await? != status {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    for end in ["", "-wal", "-shm"] {
        // What is not there need not be removed.
        std::fs::remove_file(format!("changing_code.db{end}")).ok();
    }
    println!("version 1 takes an order");
    let first = deploy(1).await?;
    let order = first.start(deliver(1).id("order-1")).await?;
    while order.history().await?.events().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    first.shutdown().await?;

    println!("\nbefore version 2 is deployed it is checked against the database");
    let is_good = check(2).await?;
    println!("  -> {}", if is_good { "deploy" } else { "do not deploy" });

    println!("\nversion 2 is deployed all the same: the order is set aside, nothing of it runs");
    let second = deploy(2).await?;
    let order = second.handle(deliver, "order-1");
    until(&order, Status::Blocked).await?;
    if let Some(blocked) = order.blocked().await? {
        let kind = if blocked.kind() == BlockedKind::Mismatch { "mismatch" } else { "other" };
        println!("  {kind}: blocked, and nothing was executed");
    }
    second.shutdown().await?;

    println!("\nversion 3 says the change: `if workflow::patched(\"deposit\")`");
    let is_good = check(3).await?;
    println!("  -> {}", if is_good { "deploy" } else { "do not deploy" });
    let third = deploy(3).await?;
    println!("  the old order goes on as it began");
    println!("  {}", third.handle(deliver, "order-1").result().await?);
    println!("  a new order pays its deposit");
    println!("  {}", third.start(deliver(2).id("order-2")).await?.result().await?);
    third.shutdown().await?;
    Ok(())
}
