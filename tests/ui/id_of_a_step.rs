use workflow_runtime::{Result, step};

#[step]
async fn charge(cents: u64) -> Result<u64> {
    Ok(cents)
}

fn call() {
    let _call = charge(1).id("x");
}

fn main() {}
