use workflow_runtime::step;

#[step]
async fn charge(cents: u64) -> u64 {
    cents
}

fn main() {
    let _exists = charge;
}
