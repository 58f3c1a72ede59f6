use std::time::Duration;
use tokio::time::sleep as nap;
use workflow_runtime::{Result, workflow};

#[workflow]
async fn remind() -> Result<()> {
    nap(Duration::from_secs(1)).await;
    Ok(())
}

fn main() {}
