use workflow_runtime::{Result, step};

#[step]
async fn charge(card: impl ToString) -> Result<String> {
    Ok(card.to_string())
}

fn main() {
    drop(charge(1_u8));
}
