use workflow_runtime::{Result, step};

#[step(name = "")]
async fn charge(cents: u64) -> Result<u64> {
    Ok(cents)
}

#[step(was = ["old", "o\nld"])]
async fn refund(cents: u64) -> Result<u64> {
    Ok(cents)
}

#[step(name)]
async fn release(cents: u64) -> Result<u64> {
    Ok(cents)
}

fn main() {
    let _exists = charge;
    let _exists = refund;
    let _exists = release;
}
