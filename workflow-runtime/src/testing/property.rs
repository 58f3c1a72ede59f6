//! Plans as a proptest strategy: a failure shrinks to the least plan.

use proptest::collection::btree_map;
use proptest::prelude::{Just, Strategy, prop_oneof};

use super::plan::{Fault, Plan};

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
