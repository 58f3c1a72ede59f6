use std::collections::{HashMap, HashSet};

use workflow_runtime::{Result, step, workflow};

#[step]
async fn ship(order: u32) -> Result<u32> {
    Ok(order)
}

#[workflow]
async fn walks(map: HashMap<u32, u32>) -> Result<()> {
    let set: HashSet<u32> = HashSet::new();
    for (_key, value) in &map {
        ship(*value).await?;
    }
    for (_n, key) in map.keys().enumerate() {
        ship(*key).await?;
    }
    for key in set.iter().filter(|key| **key > 1) {
        ship(*key).await?;
    }
    set.iter().for_each(|key| drop(*key));
    futures::future::join_all(map.into_values().map(ship)).await;
    Ok(())
}

fn main() {}
