use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep as nap;
use workflow_runtime::{Result, workflow};

async fn plain() {}

#[workflow]
async fn wait() -> Result<()> {
    let mut all = FuturesUnordered::new();
    all.push(nap(Duration::from_secs(1)));
    all.next().await;
    let mut all = FuturesUnordered::from_iter([plain(), plain()]);
    all.next().await;
    let (sender, receiver) = futures::channel::mpsc::unbounded::<u32>();
    drop(sender);
    receiver.collect::<Vec<_>>().await;
    Ok(())
}

fn main() {}
