use std::time::Duration;
use tokio::time::sleep as nap;
use workflow_runtime::{Result, step, workflow};

#[step]
async fn ship(order: u32) -> Result<u32> {
    Ok(order)
}

#[workflow]
async fn in_a_block(order: u32) -> Result<u32> {
    let block = async {
        nap(Duration::from_secs(1)).await;
        1
    };
    tokio::join!(block, ship(order)).1
}

#[workflow]
async fn as_an_argument(order: u32) -> Result<u32> {
    tokio::join!(nap(Duration::from_secs(1)), ship(order)).1
}

#[workflow]
async fn inside_the_macro(order: u32) -> Result<u32> {
    futures::join!(ship(order), async { nap(Duration::from_secs(1)).await }).0
}

fn main() {}
