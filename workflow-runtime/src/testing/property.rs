//! Plans as a proptest strategy: a failure shrinks to the least plan.

use proptest::collection::btree_map;
use proptest::prelude::{Just, Strategy, prop_oneof};

use super::explore::{Chance, Config, Schedules, run_once};
use super::plan::{Fault, Plan};
use super::report::{fail, report};
use super::sim::Sim;

/// Choices and places that plans speak of: the first so many.
const FIRST: u32 = 64;

/// Any plan with so many faults, the range's end excluded.
///
/// It shrinks to fewer and earlier faults and to the plain order.
pub fn plans(faults: std::ops::Range<usize>) -> impl Strategy<Value = Plan> {
    let fault = prop_oneof![
        Just(Fault::Crash),
        Just(Fault::CommitError),
        Just(Fault::ReplyLost),
        Just(Fault::SlowCommit),
        Just(Fault::Zombie),
        (0..8_u32).prop_map(Fault::CrashInReplay),
    ];
    let choices = btree_map(0..FIRST, 1..6_u32, 0..8);
    let faults = btree_map(0..FIRST, fault, faults);
    (choices, faults).prop_map(|(choices, faults)| Plan { choices, faults })
}

/// Runs `body` once, with that plan; gives what it returns.
///
/// # Panics
///
/// What is checked after every test is violated, or `body` panicked: with the
/// timeline.
pub fn simulate<F, T>(plan: &Plan, body: impl FnOnce(Sim) -> F) -> T
where
    F: Future<Output = T> + 'static,
    T: 'static,
{
    crate::panics::install();
    let config = Config {
        name: "a simulation",
        folder: ".",
        crash: false,
        may_differ: true,
        schedules: Schedules::Random(1),
        faults: &[],
        seed: 0,
        record: None,
        sqlite: false,
    };
    let returned = std::rc::Rc::new(std::cell::RefCell::new(None));
    let told = std::rc::Rc::clone(&returned);
    let ran = run_once(&config, plan, &Chance::default(), body, move |output| {
        *told.borrow_mut() = Some(output);
        None
    });
    if ran.failure.is_some() {
        fail(&report(&config, &ran, "the plan that was given"));
    }
    let returned = returned.borrow_mut().take();
    returned.unwrap_or_else(|| fail("the body returned nothing"))
}
