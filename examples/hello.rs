//! The smallest workflow: one step, one result.
//!
//! ```sh
//! cargo run --example hello
//! cargo run --example hello -- Grace
//! ```

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use workflow_runtime::{Result, Runtime, step, workflow};

#[step]
async fn greet(name: String) -> Result<String> {
    println!("  (the step runs: this line appears once per name)");
    Ok(format!("Hello, {name}!"))
}

#[workflow]
async fn welcome(name: String) -> Result<String> {
    let greeting = greet(name).await?;
    Ok(greeting)
}

#[tokio::main]
async fn main() -> Result<()> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "Ada".to_owned());
    let runtime = Runtime::builder("sqlite://hello.db").build().await?;
    // Run it twice: the second time the result is there already.
    let run = runtime.start(welcome(name.clone()).id(format!("welcome-{name}"))).await?;
    println!("{}", run.result().await?);
    println!("{}", run.history().await?);
    runtime.shutdown().await?;
    Ok(())
}
