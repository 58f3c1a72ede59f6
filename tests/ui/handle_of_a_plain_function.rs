use workflow_runtime::{Result, workflow};
use workflow_runtime::Runtime;

#[workflow]
async fn checkout(cents: u64) -> Result<u64> {
    Ok(cents)
}

fn plain(cents: u64) -> u64 {
    cents
}

fn handles(runtime: &Runtime) {
    let _right = runtime.handle(checkout, "x");
    let _plain = runtime.handle(plain, "x");
}

fn main() {}
