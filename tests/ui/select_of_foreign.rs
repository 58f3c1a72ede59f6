use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::sleep as nap;
use workflow_runtime::{Result, step, workflow};

#[step]
async fn ship(order: u32) -> Result<u32> {
    Ok(order)
}

#[workflow]
async fn ours(order: u32) -> Result<u32> {
    workflow::select! {
        shipped = ship(order) => shipped,
        () = nap(Duration::from_secs(1)), if order > 1 => ship(2).await,
    }
}

#[workflow]
async fn of_tokio(order: u32) -> Result<u32> {
    tokio::select! {
        biased;
        shipped = ship(order) => { tokio::task::yield_now().await; shipped }
        () = nap(Duration::from_secs(1)) => Ok(0),
    }
}

#[workflow]
async fn of_futures(order: u32) -> Result<u32> {
    let (mut shipped, mut late) = (ship(order).fuse(), Box::pin(nap(Duration::from_secs(1)).fuse()));
    futures::select_biased! {
        shipped = shipped => shipped,
        () = late => Ok(0),
    }
}

fn main() {}
