use workflow_runtime::{Result, workflow};

#[workflow]
async fn wait() -> Result<u32> {
    let (_sender, receiver) = tokio::sync::oneshot::channel::<u32>();
    let first = receiver.await.unwrap_or(0);
    tokio::sync::Notify::new().notified().await;
    let (_sender, mut receiver) = tokio::sync::mpsc::channel::<u32>(1);
    let second = receiver.recv().await.unwrap_or(0);
    Ok(first + second)
}

fn main() {}
