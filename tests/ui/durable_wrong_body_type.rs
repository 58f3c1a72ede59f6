use workflow_runtime::{Result, durable, step};

#[step]
async fn ship(order: u32) -> Result<String> {
    Ok(order.to_string())
}

#[durable]
async fn length(order: u32) -> Result<String> {
    let shipped = ship(order).await?;
    Ok(shipped.len())
}

#[durable]
async fn shipped(order: u32) -> Result<u32> {
    ship(order).await
}

#[durable]
async fn nothing() {
    1
}

fn main() {
    let _exists = (length(1), shipped(1), nothing());
}
