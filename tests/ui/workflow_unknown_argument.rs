use workflow_runtime::{Result, workflow};

#[workflow(durable)]
async fn checkout(cents: u64) -> Result<u64> {
    Ok(cents)
}

fn main() {
    let _exists = checkout;
}
