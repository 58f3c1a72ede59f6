use workflow_runtime::{Result, step, workflow};

#[step]
async fn charge(cents: u64) -> Result<String> {
    Ok(cents)
}

#[workflow]
async fn checkout(cents: u64) -> Result<u64> {
    charge(cents).await
}

fn main() {
    let _exists = charge;
    let _exists = checkout;
}
