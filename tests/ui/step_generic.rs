use workflow_runtime::{Result, step};

#[step]
async fn charge<T: Send>(cents: T) -> Result<T> {
    Ok(cents)
}

fn main() {
}
