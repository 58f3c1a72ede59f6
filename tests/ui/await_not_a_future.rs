use workflow_runtime::{Result, workflow};

fn price(order: u32) -> u32 {
    order
}

#[workflow]
async fn fulfil(order: u32) -> Result<u32> {
    Ok(price(order).await)
}

fn main() {}
