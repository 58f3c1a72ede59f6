//! One run under a plan, for whoever makes plans.

use super::explore::{Chance, Config, Schedules, run_once};
use super::plan::Plan;
use super::report::{fail, report};
use super::sim::Sim;

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
