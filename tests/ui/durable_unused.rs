#![deny(unused_must_use)]
use workflow_runtime::{Result, durable, workflow};

#[durable]
async fn helper() {}

#[workflow]
async fn checkout() -> Result<()> {
    helper();
    async {};
    workflow::sleep(std::time::Duration::ZERO);
    Ok(())
}

fn main() {}
