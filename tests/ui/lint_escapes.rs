use workflow_runtime::{Result, durable, workflow};

#[workflow(allow(WF003))]
async fn an_await() -> Result<()> {
    Ok(())
}

#[workflow(allow(hash_order))]
async fn no_code() -> Result<()> {
    Ok(())
}

#[durable(allow)]
async fn no_list() {}

#[workflow]
async fn no_reason() -> Result<bool> {
    let now = workflow::nondeterministic!(std::time::Instant::now());
    Ok(now.elapsed().is_zero())
}

fn main() {}
