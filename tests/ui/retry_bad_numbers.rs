use workflow_runtime::{Result, step};

#[step(retry(attempts = 0, jitter = 2, factor = "two", often = true))]
async fn charge(cents: u64) -> Result<u64> {
    Ok(cents)
}

fn main() {
    let _exists = charge;
}
