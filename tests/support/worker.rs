//! One worker of a fleet. `worker <url> <schema> <ledger> <lease in ms>`; it
//! serves until it is killed or its input ends.

#![expect(clippy::print_stdout, reason = "its output is how it says that it is ready")]

use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use workflow_runtime::{Failure, Result, Runtime, workflow};
use workflow_tests::{Ledger, mail, order, served};

/// Only this program has it.
#[workflow]
async fn tripled(number: u32) -> Result<u32> {
    workflow::sleep(Duration::from_millis(1)).await;
    Ok(number * 3)
}

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, schema, ledger, lease] = &args[..] else {
        return Err(Failure::new("worker <url> <schema> <ledger> <lease in ms>"));
    };
    let builder = Runtime::builder(url).schema(schema).state(Ledger::open(Path::new(ledger)));
    let builder = builder.park_after(Duration::from_millis(10));
    let builder = builder.probation(Duration::from_millis(100));
    let runtime = builder.lease(Duration::from_millis(lease.parse()?)).build().await?;
    // Linked for their workflows.
    drop((order::order(0), served::doubled(0), mail::collect(0)));
    println!("serves");
    // Ends in good order when whoever started it is gone.
    let mut nothing = [0];
    let _ended = tokio::io::stdin().read(&mut nothing).await;
    runtime.shutdown().await?;
    Ok(())
}
