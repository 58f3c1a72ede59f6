//! All orders in which the calls of small programs can end, and a crash at every
//! point of each: nothing diverges.

use std::collections::BTreeSet;

use super::bench::{Bench, Code};
use super::{sleep, step, take_trace, trace, workflow};
use crate::model::{Encoded, Ended, WorkflowFuture};
use crate::turn::actor::Fate;
use crate::workflow::{cancellable, shielded};

/// What was explored.
#[derive(Debug, Default)]
struct Explored {
    orders: u32,
    crashes: u32,
    /// All results there were.
    results: BTreeSet<String>,
}

/// A program after these choices: at each, which of the running calls ends.
fn after(code: Code, choices: &[usize]) -> (Bench, Vec<String>) {
    take_trace();
    let mut bench = Bench::start(code);
    choices.iter().for_each(|choice| bench.end(*choice));
    (bench, take_trace())
}

/// Explores what follows these choices, depth first.
fn explore(name: &str, code: Code, choices: &mut Vec<usize>, explored: &mut Explored) {
    let (bench, seen) = after(code, choices);
    if let Some(fate) = &bench.fate {
        assert!(matches!(fate, Fate::Ended(_)), "{name} {choices:?}: {fate:?}");
        explored.orders += 1;
        let end = bench.stored().record.end.expect("an end");
        assert_eq!(end.how, Ended::Completed, "{name} {choices:?}");
        explored.results.insert(end.output.to_string());
        return;
    }
    let running = bench.running.clone();
    assert!(!running.is_empty(), "{name} {choices:?}: nothing runs and nothing ends");
    // A crash here: the next life does the same, sees the same, starts the same.
    let recovered = bench.crash(code);
    let again = take_trace();
    assert!(recovered.report().is_none(), "{name} {choices:?}: {:?}", recovered.report());
    assert_eq!(again, seen, "{name} {choices:?}: the replay did something else");
    let mut started = recovered.running.clone();
    started.sort_unstable();
    let mut sorted = running.clone();
    sorted.sort_unstable();
    assert_eq!(started, sorted, "{name} {choices:?}: other calls run after the crash");
    explored.crashes += 1;
    // And it goes on from there to an end, whatever the order.
    for first in 0..started.len() {
        let mut recovered = after(code, choices).0.crash(code);
        recovered.end(first);
        while recovered.fate.is_none() {
            recovered.end(0);
        }
        assert!(matches!(recovered.fate, Some(Fate::Ended(_))), "{name} {choices:?}, {first}");
    }
    for choice in 0..running.len() {
        choices.push(choice);
        explore(name, code, choices, explored);
        choices.pop();
    }
}

fn join_of_chains() -> WorkflowFuture {
    let chain = |who: &'static str| async move {
        let quoted = step("quote", who).await;
        trace(format!("{who} quoted"));
        step("charge", quoted).await
    };
    workflow(async move {
        let (a, b, c) = tokio::join!(chain("a"), chain("b"), chain("c"));
        a + &b + &c
    })
}

fn race_of_chains() -> WorkflowFuture {
    workflow(async {
        let chain =
            |who: &'static str| Box::pin(async move { step("b", step("a", who).await).await });
        let (won, at, losers) =
            futures::future::select_all([chain("x"), chain("y"), chain("z")]).await;
        drop(losers);
        trace(format!("{at} won"));
        step("last", won).await
    })
}

fn unordered_that_grows() -> WorkflowFuture {
    use futures::stream::{FuturesUnordered, StreamExt as _};
    workflow(async {
        let pair = |n: u32| async move { (n, step("s", n).await) };
        let mut all: FuturesUnordered<_> = (0..3).map(pair).collect();
        let mut got = Vec::new();
        while let Some((n, one)) = all.next().await {
            trace(one.clone());
            if n == 1 {
                all.push(pair(7));
            }
            got.push(one);
        }
        got.join(",")
    })
}

fn timer_against_steps() -> WorkflowFuture {
    workflow(async {
        let slow = async { step("slow", step("slow", 0).await).await };
        tokio::pin!(slow);
        let first = tokio::select! {
            biased;
            got = &mut slow => got,
            _ = sleep(20) => {
                trace("late");
                "late".to_owned()
            }
        };
        let (_, last) = tokio::join!(sleep(5), step("last", first));
        last
    })
}

fn channel_between_branches() -> WorkflowFuture {
    workflow(async {
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<String>(1);
        let produce = |name: &'static str| {
            let sender = sender.clone();
            async move {
                let made = step(name, 0).await;
                sender.send(made).await.unwrap();
            }
        };
        let (p, q) = (produce("p"), produce("q"));
        drop(sender);
        let consume = async {
            let mut all = Vec::new();
            while let Some(made) = receiver.recv().await {
                trace(made.clone());
                all.push(step("consume", made).await);
            }
            all.join(",")
        };
        tokio::join!(p, q, consume).2
    })
}

fn shield_beside_a_scope() -> WorkflowFuture {
    workflow(async {
        let kept = shielded(async { step("kept", step("kept", 0).await).await });
        let scoped = async {
            let (one, two) = tokio::join!(step("one", 0), sleep(5));
            trace("scoped");
            one + &two
        };
        let (kept, scoped) = tokio::join!(kept, cancellable(scoped));
        step("both", kept + &scoped.unwrap_or_default()).await
    })
}

fn permits() -> WorkflowFuture {
    workflow(async {
        let permits = tokio::sync::Semaphore::new(2);
        let all = (0..4).map(|n| {
            let permits = &permits;
            async move {
                let _permit = permits.acquire().await.unwrap();
                let got = step("s", n).await;
                trace(got.clone());
                got
            }
        });
        futures::future::join_all(all).await.join(",")
    })
}

/// Ends without returning, while others run.
fn ends_beside_a_branch() -> WorkflowFuture {
    workflow(async {
        let ends = async {
            let got = step("first", 0).await;
            let got = step("second", got).await;
            trace("ends");
            crate::turn::with_table(|table| table.end(Encoded::new(got, Ended::Completed)));
            std::future::pending::<()>().await;
        };
        let beside = async { step("beside", step("beside", 1).await).await };
        tokio::join!(ends, beside, step("never needed", 2)).1
    })
}

/// With how many orders, and how many results, each has.
const PROGRAMS: &[(&str, Code, u32, usize)] = &[
    ("a join of chains", join_of_chains, 90, 1),
    ("a race of chains", race_of_chains, 33, 3),
    ("FuturesUnordered that grows", unordered_that_grows, 12, 12),
    ("a timer against steps", timer_against_steps, 14, 2),
    ("a channel between branches", channel_between_branches, 4, 2),
    ("a shield beside a scope", shield_beside_a_scope, 12, 1),
    ("permits", permits, 8, 1),
    ("an end beside a branch", ends_beside_a_branch, 26, 1),
];

#[test]
fn in_all_orders_and_after_a_crash_at_every_point_small_programs_go_on_as_they_were() {
    for (name, code, orders, results) in PROGRAMS {
        let mut explored = Explored::default();
        explore(name, *code, &mut Vec::new(), &mut explored);
        assert_eq!(explored.orders, *orders, "{name}: {explored:?}");
        assert_eq!(explored.results.len(), *results, "{name}: {explored:?}");
        assert!(explored.crashes > 0, "{name}: {explored:?}");
    }
}
