//! Valid histories of the workflows, recorded anew in every process.

use std::time::Duration;

use serde_json::Value;
use workflow_runtime::testing::{Plan, Sim, simulate};
use workflow_runtime::{Call, Outcome, Workflow};

use crate::workflows::{
    cancellable, counts_down, in_sequence, joined, late, patched, raced, spawns,
};

/// A valid history.
#[derive(Clone, Debug)]
pub struct Base {
    /// Of its file.
    pub name: &'static str,
    /// What the file says.
    pub file: Value,
}

/// One of each workflow that ended, and some that are open or were cancelled.
///
/// # Panics
///
/// A workflow cannot be recorded.
#[must_use]
pub fn bases() -> Vec<Base> {
    let base = |name, text: String| Base { name, file: text.parse().expect("a file is JSON") };
    vec![
        base("in_sequence", ended(in_sequence(7))),
        base("joined", ended(joined(7))),
        base("raced", ended(raced(7))),
        base("late", ended(late())),
        base("patched", ended(patched(7))),
        base("counts_down", ended(counts_down(2))),
        base("spawns", ended(spawns(7))),
        base("waits", open(in_sequence(8), false)),
        base("waits_for_all", open(cancellable(), false)),
        base("cancelled", open(in_sequence(9), true)),
        base("cancelled_in_part", open(cancellable(), true)),
    ]
}

fn ended<W: Workflow>(call: Call<W>) -> String
where
    W::Return: Outcome,
{
    text(async move |sim: Sim| {
        let run = sim.start(call).await;
        // Its value is in the history.
        drop(run.result().await);
        sim.recorded(run.id()).await.to_text()
    })
}

/// As it is half a minute after its start; cancelled then, as it ends.
fn open<W: Workflow>(call: Call<W>, cancelled: bool) -> String
where
    W::Return: Outcome,
{
    text(async move |sim: Sim| {
        let run = sim.start(call).await;
        sim.advance(Duration::from_secs(30)).await;
        if cancelled {
            run.cancel().by("ada").await.expect("it is open");
            drop(run.result().await);
        }
        sim.recorded(run.id()).await.to_text()
    })
}

fn text<F>(body: impl FnOnce(Sim) -> F) -> String
where
    F: Future<Output = Result<String, String>> + 'static,
{
    simulate(&Plan::default(), body).expect("what the engine wrote is JSON")
}
