//! Small workflows, one for each kind of call and of concurrency.

use std::time::Duration;

use futures::future::{join3, try_join_all};
use serde::{Deserialize, Serialize};
use workflow_runtime::{Result, step, workflow};

/// What a step gives: with fields that a damaged payload lacks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) number: u32,
    pub(crate) lines: Vec<String>,
}

#[step]
pub(crate) async fn quote(number: u32) -> Result<Receipt> {
    Ok(Receipt { number, lines: vec!["a".to_owned(), "b".to_owned()] })
}

#[step]
pub(crate) async fn charge(receipt: Receipt) -> Result<u64> {
    Ok(u64::from(receipt.number))
}

#[step]
pub(crate) async fn note(text: String) -> Result<()> {
    drop(text);
    Ok(())
}

#[workflow]
pub(crate) async fn in_sequence(number: u32) -> Result<u64> {
    let receipt = quote(number).await?;
    workflow::sleep(Duration::from_secs(60)).await;
    // A number that no build gave panics here: that is the workflow's own.
    let line = receipt.lines[receipt.number as usize % 2].clone();
    note(line).await?;
    charge(receipt).await
}

#[workflow]
pub(crate) async fn joined(number: u32) -> Result<u64> {
    let (one, other, _) = join3(quote(number), quote(number + 1), note("both".to_owned())).await;
    let receipts = [one?, other?];
    let charged = try_join_all(receipts.map(charge)).await?;
    Ok(charged.into_iter().fold(0, u64::wrapping_add))
}

#[workflow]
pub(crate) async fn raced(number: u32) -> Result<bool> {
    let quoted = workflow::timeout(Duration::from_secs(1), quote(number)).await;
    note(format!("in time: {}", quoted.is_ok())).await?;
    Ok(quoted.is_ok())
}

/// Loses its race for certain.
#[workflow]
pub(crate) async fn late() -> Result<bool> {
    let hour = workflow::sleep(Duration::from_secs(3_600));
    let waited = workflow::timeout(Duration::from_secs(1), hour).await;
    note("late".to_owned()).await?;
    Ok(waited.is_ok())
}

#[workflow]
pub(crate) async fn patched(number: u32) -> Result<u64> {
    if workflow::patched("audit") {
        note("audited".to_owned()).await?;
    }
    charge(quote(number).await?).await
}

#[workflow]
pub(crate) async fn counts_down(left: u32) -> Result<u32> {
    note(left.to_string()).await?;
    if left == 0 {
        return Ok(left);
    }
    workflow::restart_with(counts_down(left - 1)).await
}

#[workflow]
pub(crate) async fn cancellable() -> Result<bool> {
    let waited = workflow::cancellable(workflow::sleep(Duration::from_secs(3_600))).await;
    workflow::shielded(note("undone".to_owned())).await?;
    Ok(waited.is_ok())
}

#[workflow]
pub(crate) async fn spawns(number: u32) -> Result<u64> {
    let branch = workflow::spawn(quote(number));
    workflow::sleep_until(workflow::now() + Duration::from_secs(1)).await;
    let drawn = workflow::random::<u8>();
    note(drawn.to_string()).await?;
    charge(branch.await?).await
}
