use workflow_runtime::{Result, step};

#[step(timeout = "10", retry(attempts = 2, first = "2 fortnights", max = "x1s"))]
async fn charge(cents: u64) -> Result<u64> {
    Ok(cents)
}

#[step(timeout = "0s")]
async fn refund(cents: u64) -> Result<u64> {
    Ok(cents)
}

fn main() {
    let _exists = charge;
    let _exists = refund;
}
