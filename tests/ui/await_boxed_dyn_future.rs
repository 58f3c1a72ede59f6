use std::pin::Pin;

use workflow_runtime::{Result, step, workflow};

#[step]
async fn ship(order: u32) -> Result<u32> {
    Ok(order)
}

#[workflow]
async fn fulfil(order: u32) -> Result<u32> {
    let boxed: Pin<Box<dyn std::future::Future<Output = Result<u32>>>> = Box::pin(ship(order));
    boxed.await
}

fn main() {}
