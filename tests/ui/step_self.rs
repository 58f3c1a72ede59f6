use workflow_runtime::{Result, step, workflow};

struct Shop;

impl Shop {
    #[step]
    async fn charge(&self, cents: u64) -> Result<u64> {
        Ok(cents)
    }

    #[workflow]
    async fn checkout(self) -> Result<u64> {
        self.charge(1).await
    }
}

fn main() {}
