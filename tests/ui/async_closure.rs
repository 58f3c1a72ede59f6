use workflow_runtime::{Result, step, workflow};

#[step]
async fn ship(order: u32) -> Result<u32> {
    Ok(order)
}

#[workflow]
async fn fulfil(orders: Vec<u32>) -> Result<usize> {
    let all = workflow::map(orders, async |order: u32| ship(order).await);
    Ok(all.await.len())
}

fn main() {}
