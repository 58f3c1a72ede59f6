//! How many crash states of a checkout are replayed a second, on one core:
//!
//! ```sh
//! cargo run --release -p checkout-tests --example crash_states
//! ```

#![expect(clippy::print_stdout, reason = "it prints a figure")]

use std::time::{Duration, Instant};

use checkout_tests::checkout;
use workflow_runtime::testing::{Plan, simulate};

fn main() -> Result<(), String> {
    let recorded = simulate(&Plan::default(), |sim| async move {
        let run = sim.start(checkout(7, 500)).await;
        run.result().await.map(drop).map_err(|failure| failure.to_string())?;
        Ok::<_, String>(sim.recorded(run.id()).await)
    })?;
    let (begun, mut replays) = (Instant::now(), 0_u64);
    while begun.elapsed() < Duration::from_secs(2) {
        for _ in 0..1_000 {
            replays += u64::from(recorded.replay_crash_states()?);
        }
    }
    let a_second = replays as f64 / begun.elapsed().as_secs_f64();
    println!("{a_second:.0} crash states replayed a second, {replays} in all");
    Ok(())
}
