use std::time::Duration;

use workflow_runtime::{Result, workflow};

async fn plain(order: u32) -> u32 {
    order
}

#[workflow]
async fn wait(orders: Vec<u32>) -> Result<usize> {
    let all = workflow::map(orders, plain).concurrency(2).await;
    let late = workflow::timeout(Duration::from_secs(1), plain(1)).await;
    Ok(all.len() + late.map_or(0, |_| 1))
}

fn main() {}
