use workflow_runtime::step;

#[step]
struct Charge {
    cents: u64,
}

fn main() {
}
