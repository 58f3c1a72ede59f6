use workflow_runtime::{Result, step};

fn is_odd(number: &u64) -> bool {
    number % 2 == 1
}

#[step(retry(attempts = 3, if = is_odd))]
async fn charge(cents: u64) -> Result<u64> {
    Ok(cents)
}

fn main() {
    let _exists = charge;
}
