//! Workflows that one process runs and another starts.

use std::path::PathBuf;
use std::time::Duration;

use workflow_runtime::{Result, step, workflow};

/// Waits until there is a file of that name.
#[step]
async fn wait_for(file: PathBuf) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "it waits for the world outside")]
    while !file.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

#[step]
async fn double(number: u32) -> Result<u32> {
    Ok(number * 2)
}

/// Ends its process.
#[step]
async fn bring_down() -> Result<()> {
    std::process::abort()
}

/// Twice the number.
#[workflow]
pub async fn doubled(number: u32) -> Result<u32> {
    double(number).await
}

/// Sleeps for a day.
#[workflow]
pub async fn long_sleep() -> Result<u32> {
    workflow::sleep(Duration::from_secs(86_400)).await;
    Ok(1)
}

/// Takes as long as there is no such file.
#[workflow]
pub async fn long_one(number: u32, file: PathBuf) -> Result<u32> {
    wait_for(file).await?;
    double(number).await
}

/// Brings down whoever runs it.
#[workflow]
pub async fn poison() -> Result<()> {
    bring_down().await
}
