#![deny(unused_must_use)]

use workflow_runtime::{Result, request, workflow};

#[request(reply = u32)]
struct Add(u32);

#[workflow]
async fn child() -> Result<u32> {
    Ok(1)
}

#[workflow]
async fn parent() -> Result<()> {
    child();
    workflow::start(child());
    workflow::requested::<Add>().await;
    Ok(())
}

fn main() {}
