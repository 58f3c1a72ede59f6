use workflow_runtime::{Result, workflow};

#[workflow]
async fn asks_the_machine() -> Result<String> {
    let cores = std::thread::available_parallelism();
    let id = std::process::id();
    Ok(format!("{:?} {cores:?} {id}", std::thread::current().name()))
}

fn main() {}
