//! A thousand steps at once, with an ordinary `join_all`.
//!
//! ```sh
//! cargo run --release --example fan_out
//! cargo run --release --example fan_out -- 10000
//! ```

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use futures::future::join_all;
use workflow_runtime::{Failure, Result, Runtime, step, workflow};

#[step]
async fn square(number: u64) -> Result<u64> {
    number.checked_mul(number).ok_or_else(|| Failure::new("too large"))
}

#[workflow]
async fn sum_of_squares(count: u64) -> Result<u64> {
    let squares = join_all((1..=count).map(square)).await;
    squares.into_iter().sum()
}

#[tokio::main]
async fn main() -> Result<()> {
    let count = std::env::args().nth(1).map_or(Ok(1_000), |text| text.parse())?;
    let runtime = Runtime::builder("sqlite://fan_out.db").build().await?;
    let run = runtime.start(sum_of_squares(count)).await?;
    let sum = run.result().await?;
    let steps = run.history().await?.events().len();
    println!("{steps} steps in parallel: the sum of the first {count} squares is {sum}");
    runtime.shutdown().await?;
    Ok(())
}
