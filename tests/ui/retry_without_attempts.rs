use workflow_runtime::{Result, step};

#[step(retry(first = "1s"))]
async fn charge(cents: u64) -> Result<u64> {
    Ok(cents)
}

#[step(retry = 3)]
async fn refund(cents: u64) -> Result<u64> {
    Ok(cents)
}

fn main() {
    let _exists = charge;
    let _exists = refund;
}
