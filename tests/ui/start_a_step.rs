use workflow_runtime::{Result, step};
use workflow_runtime::Runtime;

#[step]
async fn charge(cents: u64) -> Result<u64> {
    Ok(cents)
}

async fn start(runtime: Runtime) -> Result<()> {
    runtime.start(charge(1)).await?;
    Ok(())
}

fn main() {}
