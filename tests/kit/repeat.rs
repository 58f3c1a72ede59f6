//! A failure repeats from its line, in a fresh process.

use std::process::Command;

use workflow_runtime::testing::{External, Sim};
use workflow_runtime::{Result, step, workflow};

#[step]
async fn repeat_pay(#[state] bank: &External<u64>, cents: u64) -> Result<()> {
    // Wrong: every attempt has a key of its own.
    let key = format!("{}-{}", step::idempotency_key(), bank.asked());
    bank.act(key, |total| *total += cents).ok();
    Ok(())
}

#[workflow]
async fn repeat_order() -> Result<()> {
    let (one, other) = futures::future::join(repeat_pay(1), repeat_pay(2)).await;
    one.and(other)
}

#[workflow_runtime::test(crash = everywhere, schedules = 500, seed = 3)]
#[ignore = "it fails on purpose: others run it"]
async fn fails_on_purpose(sim: Sim) {
    let bank: External<u64> = sim.external();
    sim.state(bank.clone());
    sim.start(repeat_order()).await.result().await.unwrap();
    assert_eq!(bank.read(|total| *total), 3, "paid twice");
}

/// A test of this binary, in a process of its own.
fn alone(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]).env("RUST_BACKTRACE", "0");
    command.env_remove("WORKFLOW_SCHEDULE").env_remove("WORKFLOW_SCHEDULES");
    command
}

fn run(schedule: Option<&str>) -> String {
    let mut command = alone("repeat::fails_on_purpose");
    if let Some(schedule) = schedule {
        command.env("WORKFLOW_SCHEDULE", schedule);
    }
    let output = command.output().unwrap();
    assert!(!output.status.success(), "it fails");
    String::from_utf8(output.stderr).unwrap()
}

/// The report without its first lines, which say what was explored.
fn timeline(report: &str) -> &str {
    let from = report.find("      00:00:00.000").expect("a timeline");
    report[from..].split("\n\n").next().unwrap_or_default()
}

fn times() -> u32 {
    std::env::var("REPEATS").ok().and_then(|times| times.parse().ok()).unwrap_or(10)
}

#[test]
fn a_failure_repeats_from_its_line_in_a_fresh_process() {
    let first = run(None);
    assert!(first.contains("paid twice") && first.contains("CRASH"), "{first}");
    let line = first.lines().find(|line| line.contains("reproduce:")).expect("the line");
    let schedule = line.split("WORKFLOW_SCHEDULE=").nth(1).unwrap().split(' ').next().unwrap();
    let once = run(Some(schedule));
    assert!(once.contains("paid twice"), "{once}");
    for _ in 0..times() {
        assert_eq!(timeline(&run(Some(schedule))), timeline(&once), "WORKFLOW_SCHEDULE={schedule}");
    }
}

#[test]
fn a_schedule_that_cannot_be_read_says_so() {
    assert!(run(Some("12.x")).contains("expected `plain`, or parts like `12.1`"));
}

#[workflow_runtime::test(schedules = 3)]
#[ignore = "others run it"]
async fn has_three_schedules(sim: Sim) {
    sim.state(sim.external::<u64>());
    sim.start(repeat_order()).await.result().await.unwrap();
}

#[test]
fn the_environment_says_how_many_random_schedules_are_run() {
    let says = |schedules: Option<&str>| {
        let mut command = alone("repeat::has_three_schedules");
        command.envs(schedules.map(|schedules| ("WORKFLOW_SCHEDULES", schedules)));
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    // Beside the plain one.
    assert!(says(None).contains("has_three_schedules: 4 runs"));
    assert!(says(Some("40")).contains("has_three_schedules: 41 runs"));
    assert!(says(Some("many")).contains("WORKFLOW_SCHEDULES=many: expected a number"));
}
