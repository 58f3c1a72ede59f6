//! Combinators that workflows await as they are.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use futures::future::{self, Either, FutureExt as _, TryFutureExt as _};
use futures::stream::{self, FuturesOrdered, FuturesUnordered, StreamExt as _, TryStreamExt as _};
use workflow_runtime::{DurableFuture, Failure, Result, durable, step, workflow};

#[step]
pub(super) async fn add_one(number: u32) -> Result<u32> {
    Ok(number + 1)
}

/// By name, as users import it.
use workflow_runtime::workflow::sleep as nap;

#[workflow]
pub(super) async fn joined() -> Result<Vec<u32>> {
    let (a, b) = tokio::join!(add_one(0), async { add_one(add_one(0).await?).await });
    let (c, d) = tokio::try_join!(add_one(2), add_one(3))?;
    let (e, ()) = futures::join!(add_one(4), nap(Duration::from_millis(1)));
    let (f, g) = futures::try_join!(add_one(5), add_one(6).map_ok(|n| n))?;
    let (h, i) = tokio::join!(biased; add_one(7), add_one(8));
    let mut rest = vec![add_one(9).await?, { add_one(10) }.await?, (add_one(11)).await?];
    rest.extend(future::try_join_all((12..16).map(add_one)).await?);
    for result in future::join_all((16..50).map(add_one)).await {
        rest.push(result?);
    }
    let mut all = vec![a?, b?, c, d, e?, f, g, h?, i?];
    all.append(&mut rest);
    Ok(all)
}

#[workflow]
pub(super) async fn streamed() -> Result<Vec<u32>> {
    let mut unordered: FuturesUnordered<_> = (0..4).map(add_one).collect();
    let mut sum = 0;
    while let Some(number) = unordered.next().await {
        let number = number?;
        if number < 3 {
            unordered.push(add_one(10));
        }
        sum += number;
    }
    let mut ordered: FuturesOrdered<_> = (0..3).map(add_one).collect();
    let first = ordered.next().await.unwrap_or(Ok(0))?;
    let mut all = vec![sum, first];
    let buffered = stream::iter(0..3).map(add_one).buffer_unordered(2);
    let mut buffered: Vec<u32> = buffered.try_collect().await?;
    buffered.sort_unstable();
    all.extend(buffered);
    all.extend(stream::iter(5..8).map(add_one).buffered(2).try_collect::<Vec<_>>().await?);
    let numbers = stream::iter(0..4).then(add_one).try_filter(|n| future::ready(n % 2 == 0));
    let numbers = numbers.and_then(|n| async move { add_one(n).await });
    all.extend(numbers.try_collect::<Vec<_>>().await?);
    let folded = stream::iter(0..3).fold(0, |sum, n| async move {
        let plus = add_one(n).await.unwrap_or_default();
        sum + plus
    });
    all.push(folded.await);
    Ok(all)
}

#[workflow]
pub(super) async fn adapted() -> Result<Vec<u32>> {
    let shared = add_one(0).map(|result| result.unwrap_or_default()).shared();
    let (a, b) = futures::join!(shared.clone(), shared);
    let chained = add_one(1).and_then(add_one).then(|result| async { add_one(result?).await });
    let (first, _rest) = future::select_ok([add_one(4), add_one(4)]).await?;
    let (second, _, _) = future::select_all([add_one(5), add_one(5)]).await;
    let third = match future::select(add_one(6), pin!(nap(Duration::from_secs(60)))).await {
        Either::Left((result, _)) => result?,
        Either::Right(((), _)) => 0,
    };
    let either =
        if a == 1 { add_one(7).left_future() } else { future::ready(Ok(0)).right_future() };
    let maybe: future::OptionFuture<_> = Some(add_one(8)).into();
    Ok(vec![
        a,
        b,
        chained.await?,
        first,
        second?,
        third,
        either.await?,
        maybe.await.unwrap_or(Ok(0))?,
        std::future::ready(9).await,
        add_one(9).fuse().await?,
    ])
}

#[workflow]
pub(super) async fn selected() -> Result<Vec<u32>> {
    let mut all = Vec::new();
    tokio::select! {
        biased;
        number = add_one(0) => all.push(number?),
        () = nap(Duration::from_secs(60)) => { all.push(add_one(100).await?); }
    }
    let (mut left, mut right) = (add_one(1).fuse(), add_one(2).fuse());
    for _ in 0..2 {
        all.push(futures::select_biased! {
            number = left => add_one(number?).await?,
            number = right => number? + 10,
        });
    }
    all.sort_unstable();
    Ok(all)
}

/// Boxes, closures, references, loops, and names that only look suspicious.
#[workflow]
pub(super) async fn shaped(names: BTreeMap<String, u32>) -> Result<Vec<u32>> {
    let boxed: Pin<Box<dyn DurableFuture<Output = Result<u32>> + Send>> = Box::pin(add_one(0));
    let mut all = vec![boxed.await?];
    let counter = Rc::new(Cell::new(0));
    let closure = |number: u32| {
        let counter = Rc::clone(&counter);
        async move {
            counter.set(counter.get() + 1);
            add_one(number).await
        }
    };
    all.push(closure(1).await?);
    let mut pinned = pin!(closure(2));
    all.push((&mut pinned).await?);
    let (mut kept, mut other) = (add_one(3), add_one(30));
    let run = |future| async move { future.await };
    tokio::select! {
        biased;
        number = &mut kept => all.push(number?),
        () = &mut std::future::pending() => {}
    }
    let durable = futures::join!(&mut other, run(add_one(31)));
    assert_eq!((durable.0?, durable.1?), (31, 32));
    for (name, number) in &names {
        if name.split('.').filter_map(|part| part.parse::<u32>().ok()).sum::<u32>() == 3 {
            all.push(add_one(*number).await?);
        }
    }
    let now = Sleeper { sleep: 5 };
    all.push(add_one(now.spawn() + now.sleep).await?);
    let text = format!("tokio::time::sleep(1).await {}", add_one(11).await?);
    assert!(text.ends_with("12") && add_one(0).await? == 1, "Instant::now() {}", text.len());
    #[cfg(any())]
    let gone = nothing_of_this_name().await;
    let last = match add_one(12).await {
        Ok(number) if number > 100 => number,
        other => other?,
    };
    all.extend([last, counter.get()]);
    Ok(all)
}

struct Sleeper {
    sleep: u32,
}

impl Sleeper {
    fn spawn(&self) -> u32 {
        self.sleep
    }
}

/// Ends with the first failure, and in no other way.
#[durable]
async fn endless() -> Result<Infallible> {
    let mut number = 0;
    loop {
        number = add_one(number).await?;
        if number > 3 {
            return Err(Failure::new(format!("stopped at {number}")));
        }
    }
}

#[workflow]
pub(super) async fn never() -> Result<()> {
    let never: Infallible = futures::join!(endless(), future::ready(())).0?;
    match never {}
}

/// A future that only something in this workflow can complete.
#[workflow]
pub(super) async fn vouched() -> Result<u32> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let send = async move { drop(sender.send(add_one(1).await)) };
    let ((), received) = tokio::join!(send, workflow::assume_durable(receiver));
    received.unwrap_or(Ok(0))
}
