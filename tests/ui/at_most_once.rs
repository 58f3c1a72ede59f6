use workflow_runtime::{Result, step};

#[step(semantics = at_most_once, retry(attempts = 3))]
async fn both() -> Result<()> {
    Ok(())
}

#[step(semantics = exactly_once)]
async fn wishful() -> Result<()> {
    Ok(())
}

fn main() {}
