//! Crashes at exact places: before and after every commit, before and after
//! every effect.

use std::process::{Command, Output};

use workflow_tests::{Place, lines};

fn victim(place: &Place, mode: &str, point: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_victim"))
        .arg(mode)
        .args([place.path("test.db"), place.path("ledger")])
        .arg(point)
        .output()
        .expect("a victim")
}

fn output(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Crashes there, lets the next process go on, and counts the effects of the
/// three steps.
fn effects_after(point: &str) -> [usize; 3] {
    let place = Place::new();
    let crashed = victim(&place, "three", point);
    assert!(!crashed.status.success(), "{point}: it did not crash: {crashed:?}");
    assert_eq!(output(&victim(&place, "three", "")), "3", "{point}");
    // A third process finds the result and runs nothing.
    assert_eq!(output(&victim(&place, "three", "")), "3", "{point}");
    let ledger = lines(&place.path("ledger"));
    ["one", "two", "three"].map(|step| ledger.iter().filter(|line| *line == step).count())
}

#[test]
fn a_step_repeats_only_if_the_crash_came_between_its_effect_and_its_checkpoint() {
    // The start is commit 1; the results are 2, 3 and 4, the last with the end.
    let cases = [
        ("before-commit=1", [1, 1, 1]),
        ("after-commit=1", [1, 1, 1]),
        ("step=before-one", [1, 1, 1]),
        ("step=after-one", [2, 1, 1]),
        ("before-commit=2", [2, 1, 1]),
        ("after-commit=2", [1, 1, 1]),
        ("step=before-two", [1, 1, 1]),
        ("step=after-two", [1, 2, 1]),
        ("before-commit=3", [1, 2, 1]),
        ("after-commit=3", [1, 1, 1]),
        ("step=before-three", [1, 1, 1]),
        ("step=after-three", [1, 1, 2]),
        ("before-commit=4", [1, 1, 2]),
        ("after-commit=4", [1, 1, 1]),
    ];
    for (point, expected) in cases {
        assert_eq!(effects_after(point), expected, "{point}");
    }
}

#[test]
fn results_never_move_between_branches_whatever_their_latencies() {
    let expected = "charge-quote-alice charge-quote-bob";
    // Each crash is in the middle of the branches; the latencies are flipped in
    // every life, so that the branches overtake each other.
    for first in 1..=6 {
        for second in 1..=6 {
            let place = Place::new();
            for point in [format!("after-commit={first}"), format!("before-commit={second}")] {
                let crashed = victim(&place, "two-customers", &point);
                if crashed.status.success() {
                    assert_eq!(output(&crashed), expected, "{point}");
                }
            }
            let last = victim(&place, "two-customers", "");
            assert_eq!(output(&last), expected, "{first} then {second}");
        }
    }
}
