//! Every form of function that the macros take.

use std::rc::Rc;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use workflow_runtime::{Call, Outcome, Result, Runtime, Step, Workflow, durable, step, workflow};
use workflow_tests::{Ledger, Place};

use crate::steps::World;

async fn runtime() -> Runtime {
    runtime_builder().build().await.unwrap()
}

async fn run<W, T>(call: Call<W>) -> Result<T>
where
    W: Workflow<Return = Result<T>>,
    T: 'static,
{
    runtime().await.start(call).await?.result().await
}

/// State behind a trait.
pub(crate) trait Mailer: Send + Sync {
    fn mail(&self, to: &str) -> String;
}

struct Loud;

pub(crate) fn loud() -> Arc<dyn Mailer> {
    Arc::new(Loud)
}

impl Mailer for Loud {
    fn mail(&self, to: &str) -> String {
        to.to_uppercase()
    }
}

/// A documented step: [`many`] takes more.
#[step]
async fn none() -> Result<u8> {
    Ok(7)
}

#[must_use = "a letter"]
#[step(name = "mail it", timeout = "1.5s")]
#[allow(clippy::unused_async, reason = "attributes are carried")]
async fn mails(
    #[state] mailer: &dyn Mailer,
    #[state] _world: &World,
    to: String,
) -> Result<String> {
    Ok(mailer.mail(&to))
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Point {
    x: i32,
    y: i32,
}

#[step]
#[allow(clippy::too_many_arguments, reason = "attributes are carried")]
async fn many(
    mut a: u8,
    (b, c): (u8, u8),
    Point { x, y }: Point,
    [d, e]: [u8; 2],
    f: Option<String>,
    r#type: bool,
    g: Vec<u8>,
    h: std::collections::BTreeMap<String, u8>,
    i: u128,
    j: char,
    k: f64,
    (): (),
) -> Result<String> {
    a += b + c + d + e;
    Ok(format!("{a} {x} {y} {f:?} {type} {g:?} {h:?} {i} {j} {k}"))
}

#[step(retry(attempts = 2, first = "1ms", max = "1s", factor = 1.5, jitter = 0), timeout = "5m")]
async fn r#match(r#fn: u8) -> Result<u8> {
    Ok(r#fn + 1)
}

#[cfg(any())]
#[step]
async fn gone(x: DoesNotExist) -> Result<()> {}

#[step]
#[cfg(any())]
async fn gone_too(x: DoesNotExist) -> Result<()> {}

mod inside {
    use workflow_runtime::{Result, step};

    #[step]
    pub(super) async fn none() -> Result<u8> {
        Ok(8)
    }

    pub(in crate::forms) mod deeper {
        #[workflow_runtime::step]
        pub(in crate::forms) async fn deep(n: u8) -> workflow_runtime::Result<u8> {
            Ok(n)
        }
    }
}
use inside::none as renamed_none;

/// A module of the function's name can stand beside it.
mod all_forms {}

#[workflow]
async fn all_forms(point: Point) -> Result<Vec<String>> {
    let map = [("k".to_owned(), 1)].into();
    let text = many(1, (2, 3), point, [4, 5], None, true, vec![6], map, u128::MAX, 'ß', 0.5, ());
    let others = vec![
        text.await?,
        none().await?.to_string(),
        renamed_none().await?.to_string(),
        inside::deeper::deep(9).await?.to_string(),
        r#match(1).await?.to_string(),
        mails("ada".to_owned()).await?,
    ];
    Ok(others)
}

#[tokio::test]
async fn arguments_patterns_names_and_state_of_every_form() {
    let all = run(all_forms(Point { x: -1, y: 2 })).await.unwrap();
    let first = "15 -1 2 None true [6] {\"k\": 1} 340282366920938463463374607431768211455 ß 0.5";
    assert_eq!(all, [first, "7", "8", "9", "2", "ADA"]);
}

/// Generic over any call of a step.
#[durable]
async fn twice<S, T>(call: Call<S>) -> Result<(T, T)>
where
    S: Step<Return = Result<T>>,
    S::Args: Clone,
{
    let again = call.clone();
    Ok((call.await?, again.await?))
}

#[durable]
async fn succeeds<S: Step>(call: Call<S>) -> bool
where
    S::Return: Outcome,
{
    call.await.into_result().is_ok()
}

#[workflow]
async fn combinators() -> Result<u32> {
    // Not `Send`, and held across awaits.
    let shared = Rc::new(std::cell::Cell::new(0));
    let add = |n: u8| {
        let shared = Rc::clone(&shared);
        async move {
            let got = u32::from(r#match(n).await?);
            shared.set(shared.get() + got);
            Ok::<_, workflow_runtime::Failure>(())
        }
    };
    tokio::try_join!(add(1), add(2))?;
    let mut some: FuturesUnordered<_> = (0..4).map(add).collect();
    while let Some(done) = some.next().await {
        done?;
    }
    drop(some);
    let (a, b) = twice(none()).await?;
    assert!(succeeds(none()).await);
    let fast = tokio::select! {
        biased;
        got = none() => got?,
        got = r#match(0) => got?,
    };
    Ok(shared.get() + u32::from(a + b + fast))
}

#[tokio::test]
async fn ordinary_combinators_and_generic_helpers_work() {
    // Between the race's steps either may end first: 7 or 1.
    let sum = run(combinators()).await.unwrap();
    assert!([15 + 14 + 7, 15 + 14 + 1].contains(&sum), "{sum}");
}

#[tokio::test]
async fn functions_inside_functions_work() {
    #[step]
    async fn inner(x: u8) -> Result<u8> {
        Ok(x + 1)
    }
    #[workflow(name = "local outer")]
    async fn outer(x: u8) -> Result<u8> {
        inner(x).await
    }
    assert_eq!(run(outer(1)).await.unwrap(), 2);
}

#[test]
fn a_call_is_plain_data() {
    fn is_plain<T: Send + Unpin + std::fmt::Debug + Clone>(_: &T) {}
    let call = r#match(4);
    is_plain(&call);
    is_plain(&all_forms(Point { x: 1, y: 2 }));
    assert_eq!(call.args(), Some(&4));
    assert_eq!(format!("{call:?}"), "match(4)");
    assert_eq!(format!("{:?}", all_forms(Point { x: 1, y: 2 })), "all_forms({\"x\":1,\"y\":2})");
    assert_eq!(format!("{:?}", none()), "none()");
}

#[tokio::test]
async fn a_workflow_registered_by_hand_too_is_one_workflow() {
    let runtime = runtime_builder().register(all_forms).build().await.unwrap();
    let run = runtime.start(all_forms(Point { x: 0, y: 0 })).await.unwrap();
    assert_eq!(run.result().await.unwrap().len(), 6);
}

fn runtime_builder() -> workflow_runtime::Builder {
    let ledger = Ledger::open(&Place::new().path("ledger"));
    Runtime::builder("memory:")
        .shared_state(Arc::<World>::default())
        .state(ledger)
        .shared_state(loud())
}
