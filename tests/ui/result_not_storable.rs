use workflow_runtime::{Result, step};

struct Receipt;

#[step]
async fn charge(cents: u64) -> Result<Receipt> {
    let _ = cents;
    Ok(Receipt)
}

fn main() {
    let _exists = charge;
}
