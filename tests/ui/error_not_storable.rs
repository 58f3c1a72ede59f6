use workflow_runtime::step;

#[step]
async fn charge(cents: u64) -> std::result::Result<u64, std::io::Error> {
    Ok(cents)
}

fn main() {
    let _exists = charge;
}
