use workflow_runtime::step;

#[step]
async fn charge(cents: u64) {
    let _ = cents;
}

fn main() {
    let _exists = charge;
}
