use std::time::Instant as Clock;

use workflow_runtime::{Result, workflow};

type Wall = std::time::SystemTime;

#[workflow]
async fn reads_clocks() -> Result<u64> {
    let began = std::time::Instant::now();
    let renamed = Clock::now();
    let alias = Wall::now();
    let uncalled: fn() -> Clock = Clock::now;
    let bracketed = <std::time::Instant>::now();
    // Other mistakes of the body are reported too.
    Ok(undefined)
}

fn main() {}
