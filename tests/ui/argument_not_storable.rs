use workflow_runtime::{Result, step};

struct Card;

#[step]
async fn charge(cents: u64, card: Card) -> Result<u64> {
    let _ = card;
    Ok(cents)
}

fn main() {
    let _exists = charge;
}
