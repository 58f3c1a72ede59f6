//! The examples run as their first lines say.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use workflow_tests::Place;

/// Where cargo puts the examples, built once.
fn examples() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let build = ["build", "--package", "workflow-examples", "--examples", "--quiet"];
        let built = Command::new(env!("CARGO")).args(build).status().expect("cargo");
        assert!(built.success());
        let deps = std::env::current_exe().expect("this test");
        deps.parent().and_then(Path::parent).expect("target folder").join("examples")
    })
}

fn run(place: &Place, example: &str, args: &[&str]) -> (Output, String) {
    let mut command = Command::new(examples().join(example));
    let output = command.args(args).current_dir(place.path("")).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

#[test]
fn hello_greets_and_the_second_time_runs_no_step() {
    let place = Place::new();
    let (first, text) = run(&place, "hello", &["Grace"]);
    assert!(first.status.success() && text.contains("Hello, Grace!"), "{text}");
    assert!(text.contains("the step runs"));
    let (second, text) = run(&place, "hello", &["Grace"]);
    assert!(second.status.success() && text.contains("Hello, Grace!"), "{text}");
    assert!(!text.contains("the step runs"), "{text}");
}

#[test]
fn the_pizza_shop_serves_both_kinds_of_guests() {
    let (output, text) = run(&Place::new(), "pizza_shop", &["12"]);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("there is no pizza hawaii"), "{text}");
    let tables = text.lines().find(|line| line.starts_with("tables")).expect("a row");
    assert_eq!(tables.split_whitespace().nth(3), Some("12"), "{text}");
    assert!(text.contains("the kitchen closes: 24 baked"), "{text}");
}

#[test]
fn fan_out_runs_a_thousand_steps() {
    let (output, text) = run(&Place::new(), "fan_out", &[]);
    assert!(output.status.success());
    assert!(text.contains("1000 steps in parallel") && text.contains("333833500"), "{text}");
}

fn effects(place: &Place, what: &str) -> usize {
    let world = workflow_tests::lines(&place.path("hotel_world.log"));
    world.iter().filter(|line| line.contains(what)).count()
}

#[test]
fn a_hotel_booking_survives_its_death_and_charges_once() {
    for (after, charged) in [("reserve", 0), ("charge", 1)] {
        let place = Place::new();
        let (died, text) = run(&place, "hotel_booking", &["--crash-after", after]);
        assert!(died.status.code().is_none(), "it dies by a signal: {:?}", died.status);
        assert!(text.contains("the process dies now"), "{text}");
        assert_eq!(effects(&place, "charged"), charged);
        let (went_on, text) = run(&place, "hotel_booking", &[]);
        assert!(went_on.status.success(), "{went_on:?}");
        assert!(text.contains("was interrupted") && text.contains("Booked:"), "{text}");
        for effect in ["reserved", "charged", "sent"] {
            assert_eq!(effects(&place, effect), 1, "{effect}");
        }
        // The next one books anew.
        let (anew, text) = run(&place, "hotel_booking", &[]);
        assert!(anew.status.success() && !text.contains("interrupted"), "{text}");
        assert_eq!(effects(&place, "charged"), 2);
    }
}

#[test]
fn a_declined_card_gives_the_room_back() {
    let place = Place::new();
    let (output, text) = run(&place, "hotel_booking", &["--decline"]);
    assert!(output.status.success() && text.contains("Not booked"), "{text}");
    assert_eq!(["reserved", "charged", "released"].map(|what| effects(&place, what)), [1, 0, 1]);
}

#[test]
fn timers_remind_and_keep_what_is_days_ahead() {
    let place = Place::new();
    let (output, text) = run(&place, "timers", &[]);
    assert!(output.status.success(), "{output:?}");
    for said in ["now: the tea is ready", "now: put the bins out", "in 80 days", "waiting"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let (output, text) = run(&place, "timers", &["--cancel", "dentist"]);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("dentist: cancelled"), "{text}");
    let (_, text) = run(&place, "timers", &[]);
    let line = text.lines().find(|line| line.starts_with("dentist")).unwrap_or_default();
    assert!(line.contains("cancelled"), "{text}");
    assert!(!text.contains("now: the tea"), "it reminds once: {text}");
}

#[test]
fn a_fleet_whose_workers_are_killed_loses_no_order_and_charges_none_twice() {
    let Some(url) = workflow_test_postgres::url() else { return };
    let (output, text) = run(&Place::new(), "fleet", &[url, "400"]);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("400 of 400 orders shipped, 400 charges"), "{text}");
    assert!(!text.contains(" 0 workers killed"), "{text}");
}

#[test]
fn a_primary_that_is_destroyed_loses_no_order() {
    if workflow_test_postgres::url().is_none() {
        return;
    }
    let (output, text) = run(&Place::new(), "disaster", &[]);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("the standby is promoted"), "{text}");
    assert!(text.contains("nothing was lost, and nothing was done twice"), "{text}");
}

#[test]
fn changing_code_shows_a_deploy_with_and_without_a_patch() {
    let (output, text) = run(&Place::new(), "changing_code", &[]);
    assert!(output.status.success(), "{output:?}");
    let in_order = [
        "version 1 takes an order",
        "`charge_deposit` stands where `ship` was",
        "if workflow::patched(\"charge_deposit\")",
        "-> do not deploy",
        "mismatch: blocked, and nothing was executed",
        "would start: ship (1)",
        "-> deploy",
        "order 1 left shelf 5",
        "charge a deposit for order 2",
        "order 2 left shelf 6",
    ];
    let mut rest = &*text;
    for part in in_order {
        let at = rest.find(part).unwrap_or_else(|| panic!("no `{part}` in {text}"));
        rest = &rest[at..];
    }
    assert!(!text.contains("charge a deposit for order 1"), "{text}");
}
