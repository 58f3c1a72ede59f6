use workflow_runtime::workflow::sync::{Notify, mpsc};
use workflow_runtime::{Result, workflow};

static TOLD: Notify = Notify::new();

#[workflow]
async fn leak() -> Result<u32> {
    let (sender, mut receiver) = mpsc::channel(1);
    std::thread::spawn(move || sender.try_send(1));
    TOLD.notified().await;
    Ok(receiver.recv().await.unwrap_or(0))
}

fn main() {}
