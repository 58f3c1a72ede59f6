use workflow_runtime::{Result, step};

#[step]
async fn charge(card: impl ToString) -> Result<String> {
    Ok(card.to_string())
}

fn main() {
    let _exists = charge;
}
