//! Orders that any worker of a fleet may go on with, and a checker of what they
//! did.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use workflow_runtime::{Result, step, workflow};

use crate::Ledger;

/// An effect: a line `millis run key stage input token`. Returns the token,
/// which is another in every attempt.
#[step]
async fn effect(#[state] ledger: &Ledger, stage: String, input: String) -> Result<String> {
    let token = uuid::Uuid::new_v4().simple().to_string();
    let (run, key, now) = (step::workflow_id(), step::idempotency_key(), millis());
    ledger.write(&format!("{now} {run} {key} {stage} {input} {token}"));
    #[expect(clippy::disallowed_methods, reason = "an effect takes its time")]
    tokio::time::sleep(Duration::from_millis(u64::from(token.as_bytes()[0] % 4))).await;
    Ok(token)
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "effects are in the world's time")]
fn millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Three effects, each on the one before it, with a sleep between.
#[workflow]
pub async fn order(number: u64) -> Result<String> {
    let reserved = effect("reserve".into(), number.to_string()).await?;
    workflow::sleep(Duration::from_millis(number * 4 % 8_000)).await;
    let charged = effect("charge".into(), reserved).await?;
    effect("ship".into(), charged).await
}

/// Blocks every thread of its runtime but one of ours for that long.
#[step]
async fn hog(millis: u64) -> Result<()> {
    let threads = (0..16).map(|_| {
        tokio::task::spawn(async move {
            #[expect(clippy::disallowed_methods, reason = "what nobody should do")]
            std::thread::sleep(Duration::from_millis(millis));
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.await?;
    }
    Ok(())
}

/// Blocks the threads of whoever runs it.
#[workflow]
pub async fn hogs(millis: u64) -> Result<()> {
    hog(millis).await
}

/// One line of the ledger.
#[derive(Debug)]
struct Effect {
    at: i64,
    key: String,
    stage: String,
    input: String,
    token: String,
}

/// What was recorded of one order: its steps' results in their order.
pub type Recorded = Vec<String>;

/// Whether the effects of orders are what their histories say: each result is
/// of one effect, each effect built on what is recorded, no step began again
/// after its result was there.
///
/// # Panics
///
/// Something was lost or doubled.
pub fn check(lines: &[String], orders: &BTreeMap<String, Recorded>) {
    let effects = effects(lines);
    for (id, recorded) in orders {
        check_one(id, &effects[id.as_str()], recorded);
    }
}

/// Whether each recorded result is of one effect, built on what is recorded
/// before it.
///
/// # Panics
///
/// It is not.
pub fn check_recorded(lines: &[String], orders: &BTreeMap<String, Recorded>) {
    let effects = effects(lines);
    for (id, recorded) in orders {
        assert_eq!(recorded.len(), 3, "{id}: {recorded:?}");
        let mut input = id.trim_start_matches("order-");
        for token in recorded {
            let of = effects[id.as_str()].iter().find(|one| one.token == *token);
            assert_eq!(of.map(|one| &*one.input), Some(input), "{id}: {recorded:?}");
            input = token;
        }
    }
}

#[expect(clippy::panic, reason = "a ledger that cannot be read is no ledger")]
fn effects(lines: &[String]) -> BTreeMap<&str, Vec<Effect>> {
    let mut effects: BTreeMap<&str, Vec<Effect>> = BTreeMap::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let [at, run, key, stage, input, token] = words[..] else { panic!("`{line}`") };
        let [key, stage, input, token] = [key, stage, input, token].map(str::to_owned);
        let at = at.parse().unwrap_or_default();
        effects.entry(run).or_default().push(Effect { at, key, stage, input, token });
    }
    effects
}

#[expect(clippy::panic, reason = "a result from nowhere is no result")]
fn check_one(id: &str, effects: &[Effect], recorded: &Recorded) {
    assert_eq!(recorded.len(), 3, "{id}: {recorded:?}");
    let mut input = id.trim_start_matches("order-").to_owned();
    for (stage, token) in ["reserve", "charge", "ship"].into_iter().zip(recorded) {
        let of_stage: Vec<&Effect> = effects.iter().filter(|one| one.stage == stage).collect();
        let counted = of_stage.iter().find(|one| one.token == *token);
        let Some(counted) = counted else {
            panic!("{id}: a result of {stage} that is in no ledger")
        };
        for one in &of_stage {
            assert_eq!(one.input, input, "{id}: {stage} acted on what is not recorded");
            assert_eq!(one.key, of_stage[0].key, "{id}: the key of {stage} changed");
            // Whoever went on knew the result of the one that counts.
            assert!(
                one.at <= counted.at,
                "{id}: {stage} began again after its result was there: {effects:?}"
            );
        }
        input.clone_from(token);
    }
}
