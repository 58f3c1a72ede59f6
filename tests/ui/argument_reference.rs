use workflow_runtime::{Result, step};

#[step]
async fn charge(card: &str, cents: &[u64]) -> Result<u64> {
    let _ = (card, cents);
    Ok(1)
}

fn main() {
    let _exists = charge;
}
