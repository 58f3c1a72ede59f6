use workflow_runtime::{Result, durable, step};

#[step]
async fn visit(node: u32) -> Result<u32> {
    Ok(node)
}

#[durable]
async fn walk(node: u32) -> Result<u32> {
    if node == 0 {
        return visit(node).await;
    }
    walk(node - 1).await
}

fn main() {
    drop(walk(1));
}
