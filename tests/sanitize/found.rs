//! Each kind of call, where it stands and what to write instead.

use std::panic::{AssertUnwindSafe, catch_unwind};

use workflow_runtime::testing::{Plan, Recorded, Sim, replay_file, simulate};
use workflow_runtime::{Result, step, workflow};

use crate::helpers;

#[step]
async fn found_note(number: u64) -> Result<u64> {
    Ok(number)
}

/// Calls the helper of that name, before and after a step.
#[workflow]
async fn found_helper(name: String) -> Result<u64> {
    let helper = match &*name {
        "instant" => helpers::instant,
        "system_time" => helpers::system_time,
        "tokio_instant" => helpers::tokio_instant,
        "uuid" => helpers::uuid,
        "variable" => helpers::variable,
        "file" => helpers::file,
        "connection" => helpers::connection,
        "thread" => helpers::thread,
        _ => || 1,
    };
    Ok(found_note(helper()).await? + helper())
}

#[workflow]
async fn found_in_a_branch() -> Result<u64> {
    let branch = workflow::spawn(async { helpers::variable() });
    Ok(branch.await + found_note(1).await?)
}

/// What a test says that starts `helper`, twice.
fn report(helper: &str) -> String {
    said(|| {
        simulate(&Plan::default(), |sim| {
            let helper = helper.to_owned();
            async move {
                for _ in 0..2 {
                    let run = sim.start(found_helper(helper.clone())).await;
                    assert_eq!(run.result().await.unwrap(), 2);
                }
            }
        });
    })
}

fn said(body: impl FnOnce()) -> String {
    let panicked = catch_unwind(AssertUnwindSafe(body)).expect_err("something is found");
    *panicked.downcast::<String>().expect("a text")
}

/// One violation, of `found_helper`, with all of these.
#[track_caller]
fn says(report: &str, does: &str, call: &str, instead: &str) {
    assert_eq!(report.matches("if it steers nothing").count(), 1, "{report}");
    let all = [
        &*format!("workflow `found_helper` {does}, and a replay"),
        &*helpers::place_of(call),
        instead,
        "workflow::nondeterministic!",
    ];
    for text in all {
        assert!(report.contains(text), "`{text}` is not in\n{report}");
    }
}

#[test]
fn a_clock_in_a_helper_is_found_and_there_is_a_durable_one() {
    let now = "use `workflow::now()`";
    says(&report("instant"), "reads a clock", "= Instant::now()", now);
    says(&report("system_time"), "reads a clock", "SystemTime::now()", now);
    says(&report("tokio_instant"), "reads a clock", "tokio::time::Instant::now()", now);
}

#[test]
fn chance_in_a_dependency_is_found_with_the_way_to_it() {
    let report = report("uuid");
    says(&report, "draws a random value", "Uuid::new_v4()", "use `workflow::uuid()`");
    assert!(report.contains("    by way of uuid-"), "{report}");
}

#[test]
fn the_environment_files_the_network_and_threads_are_found() {
    let instead = "or make it an argument of the workflow";
    says(&report("variable"), "reads the environment", "env::var(", instead);
    says(&report("file"), "opens a file", "fs::read(", "read and write files in a `#[step]`");
    says(&report("connection"), "uses the network", "connect(", "talk to others in a `#[step]`");
    says(&report("thread"), "starts a thread", "spawn(", "compute in a `#[step]`");
}

#[test]
fn a_branch_is_a_part_of_its_workflow() {
    let report = said(|| {
        simulate(&Plan::default(), |sim| async move {
            sim.start(found_in_a_branch()).await.result().await.unwrap();
        });
    });
    assert!(report.contains("workflow `found_in_a_branch` reads the environment"), "{report}");
}

#[workflow_runtime::test]
#[should_panic(expected = "workflow `found_helper` reads a clock")]
async fn a_test_of_the_kit_fails(sim: Sim) {
    sim.start(found_helper("instant".to_owned())).await.result().await.unwrap();
}

#[workflow_runtime::test(crash = everywhere)]
#[should_panic(expected = "failed on the plain schedule")]
async fn it_fails_before_anything_is_explored(sim: Sim) {
    sim.start(found_helper("file".to_owned())).await.result().await.unwrap();
}

/// A history of `found_helper` whose code was harmless when it was written.
fn recorded() -> String {
    let recorded = simulate(&Plan::default(), |sim| async move {
        let run = sim.start(found_helper("none".to_owned())).await;
        assert_eq!(run.result().await.unwrap(), 2);
        sim.recorded(run.id()).await
    });
    recorded.to_text().unwrap().replace("none", "file")
}

#[test]
fn replays_of_recorded_histories_are_watched_too() {
    let history = Recorded::read(&recorded()).unwrap();
    let place = helpers::place_of("fs::read(");
    for error in [history.replay().unwrap_err(), history.replay_crash_states().unwrap_err()] {
        assert!(error.contains("`found_helper` opens a file") && error.contains(&place), "{error}");
    }
    let said = said(|| replay_file("old.json", &recorded()));
    assert!(said.starts_with("old.json: workflow `found_helper` opens a file"), "{said}");
}
