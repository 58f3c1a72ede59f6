use workflow_runtime::{Result, step};

#[derive(serde::Serialize, serde::Deserialize)]
enum ShopError {
    SoldOut,
}

#[step]
async fn charge(cents: u64) -> Result<u64, ShopError> {
    if cents == 0 { Err(ShopError::SoldOut) } else { Ok(cents) }
}

fn main() {
    let _exists = charge;
}
