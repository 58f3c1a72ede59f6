//! A shop's checkout, and versions of it with one mistake each. The tests show
//! which kind of test finds which mistake, and what it says.

pub mod mistakes;

use std::time::Duration;

use workflow_runtime::{Result, step, workflow};

/// Takes the money. A real one calls a payment service, with its idempotency
/// key.
#[step(retry(attempts = 3, first = "1s"), timeout = "10s")]
pub async fn charge(cents: u64) -> Result<String> {
    Ok(format!("receipt {} for {cents}", step::idempotency_key()))
}

/// Sends the goods.
#[step]
pub async fn ship(order: u32) -> Result<()> {
    let _sent_to_the_warehouse = order;
    Ok(())
}

/// Asks for a review.
#[step]
pub async fn ask_for_review(order: u32) -> Result<()> {
    let _sent_by_mail = order;
    Ok(())
}

/// Charges, ships, and asks for a review after two weeks.
#[workflow]
pub async fn checkout(order: u32, cents: u64) -> Result<String> {
    let receipt = charge(cents).await?;
    ship(order).await?;
    workflow::sleep(Duration::from_secs(14 * 86_400)).await;
    ask_for_review(order).await?;
    Ok(receipt)
}
