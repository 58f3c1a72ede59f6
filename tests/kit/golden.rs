//! History files.

use workflow_runtime::testing::{Plan, Recorded, replay_file, replay_new_files, simulate};
use workflow_runtime::{Result, step, workflow};

#[step]
async fn golden_pay(cents: u64) -> Result<u64> {
    Ok(cents)
}

#[workflow]
async fn golden_order(cents: u64) -> Result<u64> {
    Ok(golden_pay(cents).await? + golden_pay(1).await?)
}

fn recorded() -> String {
    let recorded = simulate(&Plan::default(), |sim| async move {
        let run = sim.start(golden_order(7)).await;
        assert_eq!(run.result().await.unwrap(), 8);
        sim.recorded(run.id()).await
    });
    recorded.to_text().unwrap()
}

#[test]
fn a_history_replays_as_a_whole_and_after_every_event() {
    let recorded = Recorded::read(&recorded()).unwrap();
    recorded.replay().unwrap();
    // Before the first, after the first, and all.
    assert_eq!(recorded.replay_crash_states().unwrap(), 3);
}

#[test]
fn what_the_code_does_not_do_again_is_named() {
    let changed = recorded().replace("golden_pay", "golden_refund");
    let error = Recorded::read(&changed).unwrap().replay().unwrap_err();
    assert!(error.contains("step golden_refund(7)"), "{error}");
    let changed = recorded().replace("\"ok\":8", "\"ok\":9");
    let error = Recorded::read(&changed).unwrap().replay().unwrap_err();
    assert!(error.contains("the result depends on something"), "{error}");
}

#[test]
fn what_is_no_history_says_so() {
    let error = Recorded::read("{}").unwrap_err();
    assert!(error.contains("this is no history file"), "{error}");
    let later = recorded().replace("\"format\": 1", "\"format\": 2");
    let error = Recorded::read(&later).unwrap_err();
    assert_eq!(error, "its format is 2, and this version reads 1");
}

#[test]
fn files_that_came_after_the_compiler_are_replayed_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    replay_new_files(path, &[]);
    std::fs::write(folder.path().join("good.json"), recorded()).unwrap();
    replay_new_files(path, &[]);
    std::fs::write(folder.path().join("bad.json"), "{}").unwrap();
    replay_new_files(path, &["bad.json"]);
    let refused = std::panic::catch_unwind(|| replay_new_files(path, &["good.json"]));
    let message = *refused.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("bad.json does not replay"), "{message}");
    replay_file("good.json", &recorded());
}
