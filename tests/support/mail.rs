//! Workflows that talk: one process runs them, another sends.

use futures::StreamExt as _;
use workflow_runtime::{Result, request, signal, step, workflow};

use crate::Ledger;

/// The `n`th signal of a sender.
#[signal(name = "letter")]
#[derive(Debug)]
pub struct Letter {
    /// Who sends it.
    pub sender: u32,
    /// From 0.
    pub n: u32,
}

/// Takes that many letters; gives them back in the order in which they came.
#[workflow]
pub async fn collect(count: u32) -> Result<Vec<(u32, u32)>> {
    let mut all = Vec::new();
    let mut letters = workflow::signals::<Letter>();
    while all.len() < count as usize {
        let Some(Letter { sender, n }) = letters.next().await else { break };
        all.push((sender, n));
    }
    Ok(all)
}

/// The sum so far, with another number.
#[request(reply = u64)]
#[derive(Debug)]
pub struct Count(pub u64);

/// Adds up that many numbers.
#[workflow]
pub async fn counter(times: u32) -> Result<u64> {
    let mut sum = 0;
    for _ in 0..times {
        let count = workflow::requested::<Count>().await;
        sum += count.0;
        count.reply(sum);
    }
    Ok(sum)
}

#[step]
async fn leaf_effect(#[state] ledger: &Ledger, name: String) -> Result<u32> {
    ledger.write(&format!("leaf {name} {}", step::idempotency_key()));
    Ok(1)
}

/// A child.
#[workflow]
pub async fn leaf(name: String) -> Result<u32> {
    let one = leaf_effect(name.clone()).await?;
    Ok(one + leaf_effect(format!("{name} again")).await?)
}

/// A parent of that many children.
#[workflow]
pub async fn tree(name: String, children: u32) -> Result<u32> {
    let started: Vec<_> =
        (0..children).map(|n| workflow::start(leaf(format!("{name}-{n}")))).collect();
    let mut sum = 0;
    for child in started {
        sum += child.await?;
    }
    Ok(sum)
}
