use workflow_runtime::{Result, step};

#[step]
async fn charge(cents: u64) -> Result<u64> {
    let shared = std::rc::Rc::new(cents);
    std::future::ready(()).await;
    Ok(*shared)
}

fn main() {
    let _exists = charge;
}
