use workflow_runtime::testing::Sim;
use workflow_runtime::{Result, step};

#[step]
async fn charge(cents: u64) -> Result<String> {
    Ok(cents.to_string())
}

fn mocks(sim: Sim) {
    sim.mock(charge, |_cents| Ok(7));
}

fn main() {}
