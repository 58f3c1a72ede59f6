use std::time::Duration;

use workflow_runtime::{Result, workflow};

#[workflow]
async fn blocks() -> Result<()> {
    std::thread::sleep(Duration::from_secs(1));
    std::thread::spawn(|| ());
    let (_sender, receiver) = std::sync::mpsc::channel::<u32>();
    let _received = receiver.recv();
    let _barrier = std::sync::Barrier::new(2);
    tokio::task::block_in_place(|| ());
    futures::executor::block_on(async {});
    Ok(())
}

#[workflow]
async fn detaches() -> Result<()> {
    tokio::spawn(async {});
    let _tasks = tokio::task::JoinSet::<u32>::new();
    Ok(())
}

fn main() {}
