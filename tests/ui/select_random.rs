use workflow_runtime::{Result, step, workflow};

#[step]
async fn ship(order: u32) -> Result<u32> {
    Ok(order)
}

#[workflow]
async fn race(order: u32) -> Result<u32> {
    tokio::select! {
        first = ship(1) => { first?; }
        second = ship(2) => { second?; }
    }
    // Other mistakes of the body are reported too.
    ship(order, 2).await
}

#[workflow]
async fn imported(order: u32) -> Result<u32> {
    use futures::{FutureExt as _, select};
    let (mut first, mut second) = (ship(order).fuse(), ship(2).fuse());
    select! {
        first = first => first,
        second = second => second,
    }
}

fn main() {}
