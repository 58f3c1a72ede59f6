#![deny(warnings)]

use workflow_runtime::{Result, step, workflow};

#[step]
async fn ship(order: u32) -> Result<u32> {
    Ok(order)
}

#[workflow]
async fn ignores(order: u32) -> Result<()> {
    let _ = ship(order).await;
    let caught = std::panic::catch_unwind(|| ());
    drop(caught);
    Ok(())
}

fn main() {}
