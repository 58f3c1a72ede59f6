use workflow_runtime::{Result, workflow};

#[workflow]
async fn inner() -> Result<u64> {
    Ok(1)
}

#[workflow]
async fn outer() -> Result<u64> {
    inner().await
}

fn main() {}
