use std::time::Duration;
use workflow_runtime::{Result, step, workflow};

#[step]
async fn ship(order: u32) -> Result<u32> {
    Ok(order)
}

#[workflow]
async fn fulfil(order: u32) -> Result<u32> {
    let _ = tokio::spawn(async { 1 }).await;
    let _ = tokio::time::timeout(Duration::from_secs(1), ship(order)).await;
    ship(order).await
}

fn main() {}
