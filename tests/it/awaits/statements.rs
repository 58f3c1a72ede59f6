//! Awaits in every place where an expression stands, and under names that the
//! generated code must not take for its own.

use std::fmt::Write as _;
use std::pin::Pin;

use futures::future::join_all;
use workflow_runtime::{DurableFuture, Failure, Result, durable, workflow};

use super::combinators::add_one;

/// Names of the prelude and of generated code, taken by the user.
pub(super) mod taken {
    use workflow_runtime::{Result, durable, workflow};

    #[allow(dead_code, reason = "they only stand in the way")]
    mod names {
        pub(super) struct Box;
        pub(super) struct Option;
        pub(super) struct Future;
        pub(super) mod core {}
        pub(super) mod std {}
    }
    #[allow(unused_imports, reason = "they only stand in the way")]
    use names::*;

    fn block(number: u32) -> u32 {
        number
    }

    #[durable]
    async fn plus(block: u32) -> Result<u32> {
        super::add_one(block).await
    }

    #[workflow]
    pub(in super::super) async fn names_of_the_user(durable: u32) -> Result<u32> {
        let sum = async { plus(block(durable)).await };
        sum.await
    }
}

#[durable]
async fn numbers() -> Result<Vec<u32>> {
    Ok(vec![1, 2, 3])
}

struct Pair {
    left: u32,
    right: Option<u32>,
}

#[workflow]
pub(super) async fn places(many: usize) -> Result<Vec<u32>> {
    let mut all = Vec::new();
    for number in numbers().await? {
        all.push(number);
    }
    while let Ok(number) = add_one(u32::try_from(all.len())?).await {
        if number > 5 {
            break;
        }
        all.push(number);
    }
    let Ok(first) = add_one(10).await else { return Err(Failure::new("never")) };
    let pair = Pair { left: add_one(11).await?, right: Some(add_one(12).await?) };
    all.extend([first, pair.left, pair.right.unwrap_or(0)]);
    all.extend(0..add_one(1).await?);
    let chained = numbers().await?.iter().map(|number| add_one(*number)).collect::<Vec<_>>();
    all.extend(join_all(chained).await.into_iter().flatten());
    let found = 'search: {
        for number in numbers().await? {
            if add_one(number).await? == 3 {
                break 'search number;
            }
        }
        0
    };
    all.push(found);
    all[0] += add_one(0).await?;
    if add_one(0).await? == 1 && !matches!(add_one(0).await, Ok(2..)) {
        all.push(-i32::try_from(add_one(0).await?)? as u32);
    }
    let zeros = vec![add_one(6).await?; many];
    all.extend(&zeros);
    Ok(all)
}

#[workflow]
pub(super) async fn in_macros(text: String) -> Result<String> {
    let mut text = text;
    write!(text, "{} {number}", add_one(1).await?, number = add_one(2).await?)?;
    assert_eq!(add_one(3).await?, 4, "{text}");
    tracing::info!(number = add_one(4).await?, text = %text, "{}", add_one(5).await?);
    let future = async { add_one(add_one(6).await?).await };
    tokio::pin!(future);
    let number: Result<u32> = future.as_mut().await;
    write!(text, " {}", number?)?;
    let result: Result<String> = async { Ok(format!(" {}", add_one(7).await?)) }.await;
    text += &result?;
    let boxed: Pin<Box<dyn DurableFuture<Output = Result<u32>>>> =
        Box::pin(async { add_one(8).await });
    let some = Some(async { boxed.await });
    let number = match some {
        Some(future) => future.await?,
        None => unreachable!("{}", add_one(0).await?),
    };
    write!(text, " {number}")?;
    Ok(text)
}

#[workflow]
pub(super) async fn nested() -> Result<u32> {
    let mut sums = vec![1];
    let left = loop {
        let mut done = 0;
        workflow::select! {
            number = add_one(1), if sums.len() < 3 => match number {
                Ok(number) => sums.push(number),
                Err(_) => break 0,
            },
            _ = async {
                done += 1;
                Ok::<u32, Failure>(done)
            } => {
                let inner = tokio::select! {
                    biased;
                    number = add_one(5) => number?,
                };
                break inner;
            }
        }
        if sums.len() == 3 {
            break add_one(20).await?;
        }
    };
    Ok(left)
}
