use workflow_runtime::durable;

struct Shop;

impl Shop {
    #[durable]
    async fn wait<F: std::future::Future<Output = u32>>(&self, future: F) -> u32 {
        tokio::task::yield_now().await;
        future.await
    }
}

fn main() {
    drop(Shop.wait(std::future::ready(1)));
}
