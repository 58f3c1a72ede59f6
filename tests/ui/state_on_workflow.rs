use workflow_runtime::{Result, workflow};

struct Gateway;

#[workflow]
async fn checkout(#[state] gateway: &Gateway, cents: u64) -> Result<u64> {
    let _ = gateway;
    Ok(cents)
}

fn main() {
    let _exists = checkout;
}
