use workflow_runtime::durable;

#[durable]
struct Shop;

#[durable]
fn not_async() -> u32 {
    1
}

#[durable]
async fn never() -> ! {
    loop {}
}

#[durable(name = "x")]
async fn named() {}

#[durable]
#[tracing::instrument]
async fn below() {}

fn main() {
    let _exists = (not_async, never, named, below);
}
