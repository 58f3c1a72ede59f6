//! A failure as people read it: as small as it can be made, as a timeline, with
//! the line that repeats it.

use super::explore::{Config, Ran};
use super::plan::Plan;

/// Tries at most.
const TRIES: u32 = 300;

/// Leaves out of the plan whatever the failure does not need.
pub(super) fn minimise(failed: Ran, again: impl Fn(&Plan) -> Option<Ran>) -> Ran {
    let (mut least, mut tries) = (failed, 0);
    loop {
        let size = least.plan.size();
        let mut plans = without_one(&least.plan).filter(|plan| plan.size() < size);
        let smaller = plans.find_map(|plan| {
            tries += 1;
            let ran = if tries > TRIES { None } else { again(&plan) };
            ran.filter(|ran| ran.plan.size() < size)
        });
        match smaller {
            Some(smaller) => least = smaller,
            None => return least,
        }
    }
}

/// The plan without its later half, then without each single part.
fn without_one(plan: &Plan) -> impl Iterator<Item = Plan> + use<> {
    let half = {
        let mut half = plan.clone();
        let keep = half.choices.len() / 2;
        half.choices = half.choices.into_iter().take(keep).collect();
        half
    };
    let faults = plan.faults.keys().copied().collect::<Vec<_>>();
    let choices = plan.choices.keys().copied().rev().collect::<Vec<_>>();
    let (one, other) = (plan.clone(), plan.clone());
    let without_fault = faults.into_iter().map(move |at| {
        let mut plan = one.clone();
        plan.faults.remove(&at);
        plan
    });
    let without_choice = choices.into_iter().map(move |at| {
        let mut plan = other.clone();
        plan.choices.remove(&at);
        plan
    });
    std::iter::once(half).chain(without_fault).chain(without_choice)
}

pub(super) fn report(config: &Config, ran: &Ran, what: &str) -> String {
    let (name, timeline, plan) = (config.name, &ran.timeline, &ran.plan);
    let failure = ran.failure.as_deref().unwrap_or("it failed");
    let test = name.split_once("::").map_or(name, |(_crate, test)| test);
    format!(
        "{name} failed on {what}\n\n{timeline}\n  {failure}\n\n  reproduce: \
         WORKFLOW_SCHEDULE={plan} cargo test {test} -- --exact\n"
    )
}

#[expect(clippy::panic, reason = "a test fails by a panic")]
pub(super) fn fail(report: &str) -> ! {
    panic!("{report}");
}
