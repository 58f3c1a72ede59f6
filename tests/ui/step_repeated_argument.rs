use workflow_runtime::{Result, step};

#[step(timeout = "1s", name = "a", timeout = "2s")]
async fn charge(cents: u64) -> Result<u64> {
    Ok(cents)
}

fn main() {
    let _exists = charge;
}
