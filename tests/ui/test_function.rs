use workflow_runtime::testing::Sim;

#[workflow_runtime::test]
fn waits(sim: Sim) {}

#[workflow_runtime::test]
async fn takes_nothing() {}

#[workflow_runtime::test]
async fn takes_more(sim: Sim, more: u32) {}

fn main() {}
