//! Program shapes whose concurrency must replay exactly.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};

use super::{sleep, step, trace, workflow};
use crate::model::WorkflowFuture;
use crate::turn::with_table;
use crate::workflow::{assume_durable, cancellable, shielded, spawn};

pub(super) type Program = fn() -> WorkflowFuture;

/// Every shape, by name.
pub(super) const SHAPES: &[(&str, Program)] = &[
    ("sequence", sequence),
    ("spawned branches", branches),
    ("a shield beside a branch", shields),
    ("code that takes cancellations", cleans_up),
    ("shields", shields),
    ("cleans_up", cleans_up),
    ("two chains under tokio::join!", chains),
    ("join_all of 8", join_all_few),
    ("join_all of 40", join_all_many),
    ("FuturesUnordered that grows", unordered),
    ("buffer_unordered", buffered),
    ("biased select! in a loop", select_loop),
    ("race with dropped losers", race),
    ("channel between branches", channel),
    ("timers against steps", timers),
    ("chance and time", chance),
    ("semaphore", semaphore),
];

/// What a deploy makes of a program: a small change, or another program.
pub(super) fn changed(program: Program) -> Program {
    if std::ptr::fn_addr_eq(program, sequence as Program) {
        return sequence_changed;
    }
    let at = SHAPES.iter().position(|(_, shape)| std::ptr::fn_addr_eq(*shape, program));
    SHAPES[at.map_or(0, |at| (at + 1) % SHAPES.len())].1
}

fn sequence() -> WorkflowFuture {
    workflow(async {
        let mut last = String::new();
        for n in 0..4 {
            last = step("s", format!("{n}{last}")).await;
            trace(last.clone());
        }
        last
    })
}

/// `sequence` after a change: its third step gets another argument.
fn branches() -> WorkflowFuture {
    workflow(async {
        let branch = |n: u32| {
            spawn(assume_durable(async move {
                let one = step("branch", n).await;
                trace(format!("branch {n}"));
                sleep(u64::from(n) * 3).await;
                step("branch again", one).await
            }))
        };
        let (one, two, never) = (branch(1), branch(2), branch(3));
        let beside = step("beside", 0).await;
        let two = two.await;
        drop(never);
        format!("{beside}{two}{}", one.await)
    })
}

fn shields() -> WorkflowFuture {
    workflow(async {
        let beside = async {
            let one = step("beside", 1).await;
            step("beside again", one).await
        };
        let shielded = shielded(async {
            let one = step("shielded", 1).await;
            sleep(5).await;
            let two = step("shielded again", &one).await;
            trace(format!("shielded {two}"));
            two
        });
        let (one, two) = futures::join!(shielded, beside);
        let three = step("after", &one).await;
        format!("{one}{two}{three}")
    })
}

fn cleans_up() -> WorkflowFuture {
    workflow(async {
        let mut got = Vec::new();
        for n in 0..3 {
            let both = async { futures::join!(step("one", n), shielded(step("two", n))) };
            match cancellable(both).await {
                Ok((one, two)) => got.push(format!("{one}{two}")),
                Err(_) => {
                    trace("cancelled");
                    got.push(step("clean", n).await);
                }
            }
        }
        got.join(",")
    })
}

fn sequence_changed() -> WorkflowFuture {
    workflow(async {
        let mut last = String::new();
        for n in 0..4 {
            let n = if n == 2 { 20 } else { n };
            last = step("s", format!("{n}{last}")).await;
            trace(last.clone());
        }
        last
    })
}

fn chains() -> WorkflowFuture {
    let chain = |who: &'static str| async move {
        let quote = step("quote", who).await;
        trace(format!("{who} {quote}"));
        let charge = step("charge", format!("{who} {quote}")).await;
        trace(charge.clone());
        charge
    };
    workflow(async move {
        let (a, b, c) = tokio::join!(chain("alice"), chain("bob"), chain("carol"));
        a + &b + &c
    })
}

fn join_all(count: u32) -> WorkflowFuture {
    workflow(async move {
        let all = (0..count).map(|n| async move {
            let first = step("first", n).await;
            trace(first.clone());
            step("second", first).await
        });
        futures::future::join_all(all).await.join(",")
    })
}

fn join_all_few() -> WorkflowFuture {
    join_all(8)
}

fn join_all_many() -> WorkflowFuture {
    join_all(40)
}

fn unordered() -> WorkflowFuture {
    let pair = |n: u32| async move {
        step("first", n).await;
        (n, step("second", n).await)
    };
    workflow(async move {
        let mut all: FuturesUnordered<_> = (0..5).map(pair).collect();
        while let Some((n, got)) = all.next().await {
            trace(got.clone());
            if n == 2 {
                all.push(pair(77));
            }
            step("after", got).await;
        }
        "done".to_owned()
    })
}

fn buffered() -> WorkflowFuture {
    workflow(async {
        let calls = (0..8).map(|n| async move { step("b", step("a", n).await).await });
        let all: Vec<_> = futures::stream::iter(calls).buffer_unordered(3).collect().await;
        trace(all.join(","));
        all.join(",")
    })
}

fn select_loop() -> WorkflowFuture {
    workflow(async {
        let (a, c) = (step("a", 0), step("c", 0));
        let b = async {
            step("b", 0).await;
            step("b", 1).await
        };
        tokio::pin!(a, b, c);
        let mut open = [true; 3];
        while open.iter().any(|open| *open) {
            let (n, got) = tokio::select! {
                biased;
                got = &mut a, if open[0] => (0, got),
                got = &mut b, if open[1] => (1, got),
                got = &mut c, if open[2] => (2, got),
            };
            open[n] = false;
            trace(got.clone());
            step("after", got).await;
        }
        "done".to_owned()
    })
}

fn race() -> WorkflowFuture {
    workflow(async {
        for round in 0..3 {
            let runners = (0..3)
                .map(|n| Box::pin(async move { step("b", step("a", round * 10 + n).await).await }));
            let (won, at, losers) = futures::future::select_all(runners).await;
            drop(losers);
            trace(format!("{at} {won}"));
        }
        step("last", "one").await
    })
}

fn channel() -> WorkflowFuture {
    workflow(async {
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<String>(1);
        let produce = |name: &'static str| {
            let sender = sender.clone();
            async move {
                for n in 0..2 {
                    let made = step(name, n).await;
                    sender.send(made).await.unwrap();
                }
            }
        };
        let (p, q) = (produce("p"), produce("q"));
        drop(sender);
        let consume = async {
            while let Some(made) = receiver.recv().await {
                trace(made.clone());
                step("consume", made).await;
            }
        };
        tokio::join!(p, q, consume);
        "done".to_owned()
    })
}

fn timers() -> WorkflowFuture {
    workflow(async {
        for round in 0..3 {
            let slow = async { step("slow", step("slow", round).await).await };
            tokio::pin!(slow);
            tokio::select! {
                biased;
                got = &mut slow => trace(got),
                _ = sleep(20) => trace(format!("late {round}")),
            }
            sleep(5).await;
        }
        let (_, got, ()) = tokio::join!(sleep(30), step("x", 1), async {
            sleep(10).await;
            step("y", 1).await;
        });
        got
    })
}

fn chance() -> WorkflowFuture {
    let draw = || {
        with_table(|table| {
            let mut bytes = [0; 4];
            table.fill(&mut bytes);
            u32::from_le_bytes(bytes) % 3
        })
        .unwrap()
    };
    let now = || with_table(|table| table.now()).unwrap();
    workflow(async move {
        let begun = now();
        for n in 0..4 {
            match draw() {
                0 => drop(step("zero", n).await),
                1 => drop(sleep(3).await),
                _ => drop(tokio::join!(step("left", n), step("right", draw()))),
            }
            trace(format!("{n} after {:?}", now().since(begun)));
            assert!(now().since(begun) < Duration::from_secs(3600));
        }
        step("at", now()).await
    })
}

fn semaphore() -> WorkflowFuture {
    workflow(async {
        let permits = tokio::sync::Semaphore::new(2);
        let all = (0..5).map(|n| {
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
