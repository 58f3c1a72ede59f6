use workflow_runtime::{Result, step, workflow};

#[step]
async fn charge(cents: u64) -> Result<u64>;

#[workflow(on_mismatch = fail)]
async fn ship(order: u32) -> Result<u32>;

#[workflow]
fn refund(order: u32) -> Result<u32>;

fn main() {}
