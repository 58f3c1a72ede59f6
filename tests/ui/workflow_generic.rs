use workflow_runtime::{Result, workflow};

#[workflow]
async fn checkout<'a>(cents: u64) -> Result<u64>
where
    u64: 'a,
{
    Ok(cents)
}

fn main() {
    let _exists = checkout;
}
