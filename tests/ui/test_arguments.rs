use workflow_runtime::testing::Sim;

#[workflow_runtime::test(crash = sometimes)]
async fn crashes(sim: Sim) {}

#[workflow_runtime::test(schedules = many)]
async fn many(sim: Sim) {}

#[workflow_runtime::test(faults = [earthquake])]
async fn shakes(sim: Sim) {}

#[workflow_runtime::test(record = "a/b", colour = "red")]
async fn records(sim: Sim) {}

fn main() {}
