use workflow_runtime::durable;

#[durable]
struct Shop;

#[durable]
fn not_async() -> u32 {
    1
}

#[durable]
fn boxed() -> std::pin::Pin<Box<dyn Future<Output = u32> + Send>> {
    Box::pin(async { 1 })
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
    let _exists = (not_async, boxed, never, named, below);
}
