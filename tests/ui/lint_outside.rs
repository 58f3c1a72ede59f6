use workflow_runtime::{Result, durable, workflow};

#[workflow]
async fn looks_outside() -> Result<bool> {
    let home = std::env::var("HOME");
    let in_a_block = async { std::env::var("HOME") }.await;
    let bytes = std::fs::read("stock.csv");
    let file = std::fs::File::open("stock.csv");
    let list = std::process::Command::new("ls");
    Ok(matches!((home, in_a_block), (Ok(_), Err(_)) if bytes.is_ok() && file.is_ok()))
}

/// A helper is checked as a workflow is.
#[durable]
async fn helper() -> bool {
    std::net::TcpStream::connect("localhost:80").is_ok()
}

fn main() {}
