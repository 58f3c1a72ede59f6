use workflow_runtime::{Result, step};

#[step(retries = 3, nmae = "x")]
async fn charge(cents: u64) -> Result<u64> {
    Ok(cents)
}

fn main() {
    let _exists = charge;
}
