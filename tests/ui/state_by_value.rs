use workflow_runtime::{Result, step};

struct Gateway;

#[step]
async fn charge(#[state] gateway: Gateway, cents: u64) -> Result<u64> {
    let _ = gateway;
    Ok(cents)
}

#[step]
async fn refund(#[state] gateway: &mut Gateway, cents: u64) -> Result<u64> {
    let _ = gateway;
    Ok(cents)
}

fn main() {
    let _exists = charge;
    let _exists = refund;
}
