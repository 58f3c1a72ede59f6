use uuid::Uuid;
use workflow_runtime::{Result, workflow};

/// What has the names of other crates.
mod rand {
    pub fn random() -> u32 {
        4
    }
}

#[workflow]
async fn draws() -> Result<()> {
    let ids = vec![Uuid::new_v4(), Uuid::now_v7()];
    let number = rand::random();
    let state = std::hash::RandomState::new();
    println!("{ids:?} {number} {state:?} {}", Uuid::new_v4());
    Ok(())
}

fn main() {}
