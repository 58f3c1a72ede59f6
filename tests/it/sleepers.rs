//! Many runs that sleep.
//!
//! `SLEEPERS=1000000 cargo it sleepers` is the long mode.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use workflow_tests::Place;

use crate::steps::{World, builder};

#[tokio::test(flavor = "multi_thread")]
async fn sleeping_runs_cost_little_memory_and_all_wake() {
    let count: i64 = std::env::var("SLEEPERS").map_or(100_000, |text| text.parse().unwrap());
    let place = Place::new();
    let victim = Command::new(env!("CARGO_BIN_EXE_victim"))
        .arg("sleepers")
        .args([place.path("test.db"), place.path("ledger")])
        .arg(count.to_string())
        .output()
        .expect("a victim");
    assert!(victim.status.success(), "{victim:?}");
    let cost = String::from_utf8(victim.stdout).unwrap();
    let kilobytes: u64 = cost.trim().parse().unwrap();
    println!("{count} sleeping runs cost {kilobytes} KB over idle");
    assert!(kilobytes < 40 << 10, "{kilobytes} KB");
    // A day passes: as if all had happened a day before.
    let mut sql = place.sql().await;
    for back in
        ["update runs set created = created - 86400000", "update active set due = due - 86400000"]
    {
        sqlx::query(back).execute(&mut sql).await.unwrap();
    }
    let world = Arc::<World>::default();
    let runtime = builder(&place, &world).build().await.unwrap();
    let open = "select count(*) from active";
    while sqlx::query_scalar::<_, i64>(open).fetch_one(&mut sql).await.unwrap() > 0 {
        pause().await;
    }
    let ended = "select count(*) from runs where status = 1";
    let ended: i64 = sqlx::query_scalar(ended).fetch_one(&mut sql).await.unwrap();
    assert_eq!(ended, count);
    runtime.shutdown().await.unwrap();
}

#[expect(clippy::disallowed_methods, reason = "it looks again")]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
