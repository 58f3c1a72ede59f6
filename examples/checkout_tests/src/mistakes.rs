//! One mistake each. None of them is found by running the code once.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use workflow_runtime::{Failure, Result, step, workflow};

/// What a payment service knows.
#[derive(Debug, Default)]
pub struct Payments(Mutex<Vec<u64>>);

impl Payments {
    /// All that was charged.
    pub fn total(&self) -> u64 {
        self.0.lock().map_or(0, |all| all.iter().sum())
    }

    fn charge(&self, cents: u64) {
        if let Ok(mut all) = self.0.lock() {
            all.push(cents);
        }
    }
}

/// MISTAKE: it gives the payment service no key, and charges again when it runs
/// again.
#[step]
pub async fn charge_without_key(#[state] payments: &Payments, cents: u64) -> Result<()> {
    payments.charge(cents);
    Ok(())
}

/// Charges once, one would think.
#[workflow]
pub async fn pay(cents: u64) -> Result<()> {
    charge_without_key(cents).await
}

/// Writes a line on an invoice.
#[step]
pub async fn write_line(text: String) -> Result<String> {
    Ok(text)
}

static INVOICES: AtomicU64 = AtomicU64::new(1_000);

/// MISTAKE: the number comes from a static, and is another one in each replay.
#[workflow(allow(WF009, reason = "the mistake, past the compiler"))]
pub async fn invoice() -> Result<u64> {
    let number = INVOICES.fetch_add(1, Ordering::Relaxed);
    write_line("espresso".to_owned()).await?;
    Ok(number)
}

/// MISTAKE: a hash map has another order in each replay.
#[workflow(allow(WF008, reason = "the mistake, past the compiler"))]
pub async fn invoice_of_many() -> Result<()> {
    let lines: HashMap<&str, u32> =
        [("espresso", 3), ("latte", 4), ("mocha", 5), ("ristretto", 3), ("lungo", 3)].into();
    for (drink, price) in lines {
        write_line(format!("{drink} {price}")).await?;
    }
    Ok(())
}

fn today() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}", now.as_nanos())
}

/// MISTAKE: a helper reads the clock, and each replay reads another time.
#[workflow]
pub async fn dated_invoice() -> Result<String> {
    write_line(today()).await
}

/// How much a step adds.
#[step]
pub async fn price_of(item: u64) -> Result<u64> {
    Ok(item * 100)
}

/// MISTAKE: a branch reads the sum, waits, and writes what it read. What
/// another wrote meanwhile is lost.
#[workflow]
pub async fn sum_of_two() -> Result<u64> {
    let sum = Cell::new(0);
    let first = async {
        let before = sum.get();
        sum.set(before + price_of(1).await?);
        Ok::<_, Failure>(())
    };
    let second = async {
        let shipping = price_of(0).await?;
        let before = sum.get();
        sum.set(before + price_of(2).await? + shipping);
        Ok::<_, Failure>(())
    };
    let (first, second) = futures::future::join(first, second).await;
    first.and(second)?;
    Ok(sum.get())
}

/// MISTAKE: after a minute it takes the charge for not made. It may be made all
/// the same.
#[workflow]
pub async fn pay_within_a_minute(cents: u64) -> Result<String> {
    match workflow::timeout(Duration::from_secs(60), charge_without_key(cents)).await {
        Ok(charged) => charged.map(|()| "paid".to_owned()),
        Err(_) => Ok("not paid".to_owned()),
    }
}

/// Says hello to a subscriber.
#[step]
pub async fn welcome(name: String) -> Result<()> {
    write_to(&name);
    Ok(())
}

/// Puts a subscriber on the list.
#[step]
pub async fn enlist(name: String) -> Result<()> {
    write_to(&name);
    Ok(())
}

fn write_to(_name: &str) {}

/// MISTAKE: `enlist` was put before `welcome` while subscriptions were in
/// flight. `tests/old/subscribe.json` is from before.
#[workflow]
pub async fn subscribe(name: String) -> Result<()> {
    enlist(name.clone()).await?;
    welcome(name).await?;
    workflow::sleep(Duration::from_secs(86_400)).await;
    Ok(())
}
