//! A user's crate of edition 2021 that has the runtime under another name.

#![deny(warnings, missing_docs, unreachable_pub)]
#![forbid(unsafe_code)]

use flow::{Failure, Result, Runtime, step, workflow};

/// A step with two arguments, one of them a pattern.
#[step(crate = ::flow, retry(attempts = 2, first = "1ms"))]
pub async fn add(left: u32, (right, _): (u32, bool)) -> Result<u32> {
    left.checked_add(right).ok_or_else(|| Failure::new("too large"))
}

mod inside {
    use super::flow_crate;

    #[flow_crate::step(crate = flow_crate)]
    pub(super) async fn double(number: u32) -> flow_crate::Result<u32> {
        Ok(number * 2)
    }
}
use ::flow as flow_crate;

/// What has helpers that borrow: in this edition the type of their futures
/// would not say so by itself.
#[derive(Debug, Default)]
pub struct Sums {
    last: u32,
}

impl Sums {
    /// Two lifetimes without names, and a type.
    #[flow::durable(crate = flow_crate)]
    pub async fn add(&mut self, numbers: &[u32], with: &impl Fn(u32) -> u32) -> Result<&u32> {
        for number in numbers {
            self.last = add(self.last, (with(*number), true)).await?;
        }
        Ok(&self.last)
    }
}

/// A workflow over both.
#[workflow(crate = flow_crate)]
pub async fn sum(left: u32, right: u32) -> Result<u32> {
    let mut sums = Sums::default();
    let sum = *sums.add(&[left, right], &|number| number).await?;
    let (doubled, sum) = workflow::select! {
        doubled = async { Ok::<_, Failure>((inside::double(sum).await?, sum)) } => doubled?,
        () = workflow::sleep(std::time::Duration::from_secs(3_600)) => (0, 0),
    };
    let sums = workflow::map([doubled, sum], |number| async move { number });
    Ok(sums.await.into_iter().max().unwrap_or(0))
}

/// Starts it and waits.
///
/// # Errors
///
/// Those of the runtime.
pub async fn run(url: &str) -> Result<u32> {
    let runtime = Runtime::builder(url).build().await?;
    let result = runtime.start(sum(2, 3).id("sum")).await?.result().await;
    runtime.shutdown().await?;
    result
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn a_renamed_crate_of_edition_2021_works() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("sum.db").display());
        for _ in 0..2 {
            assert_eq!(super::run(&url).await.unwrap(), 10);
        }
    }
}
