use workflow_runtime::{Result, workflow};

#[workflow(retry(attempts = 3), timeout = "1s")]
async fn checkout(cents: u64) -> Result<u64> {
    Ok(cents)
}

fn main() {
    let _exists = checkout;
}
