#![deny(unused_must_use)]
use workflow_runtime::{Result, step, workflow};

#[step]
async fn charge(cents: u64) -> Result<u64> {
    Ok(cents)
}

#[workflow]
async fn checkout(cents: u64) -> Result<u64> {
    charge(cents);
    Ok(cents)
}

fn main() {}
