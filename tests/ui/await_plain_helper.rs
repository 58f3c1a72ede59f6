use workflow_runtime::{Result, step, workflow};

#[step]
async fn ship(order: u32) -> Result<String> {
    Ok(order.to_string())
}

async fn plain_helper(order: u32) -> Result<String> {
    ship(order).await
}

#[workflow]
async fn fulfil(order: u32) -> Result<String> {
    let shipped = plain_helper(order).await?;
    Ok(shipped)
}

fn main() {}
