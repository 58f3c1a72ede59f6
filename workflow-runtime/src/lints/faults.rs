//! What the macros found in a body and a type check cannot find: functions that
//! no code can call, and functions whose call is a warning.
//!
//! They are errors of the type check on purpose. `compile_error!` would hide
//! the other errors of the same body.

#![allow(missing_docs, reason = "generated code alone calls these")]

use std::marker::PhantomData;

/// Has no trait of this module, ever. Its lifetime keeps the bounds below from
/// being errors here already.
#[derive(Debug)]
pub struct Never<'a>(PhantomData<&'a ()>);

/// For each code: a trait that nothing has, whose absence is the message, and a
/// function that asks for it.
macro_rules! refused {
    ($($function:ident asks for $trait:ident: $message:literal, $label:literal $(, $note:literal)*;)*) => { $(
        #[diagnostic::on_unimplemented(
            message = $message,
            label = $label,
            $(note = $note,)*
        )]
        pub trait $trait {}

        /// Cannot be called.
        pub fn $function()
        where
            for<'a> Never<'a>: $trait,
        {
        }
    )* };
}

refused! {
    clock asks for NoClock:
        "[WF001] the clock reads another time in every replay",
        "a replay reads another time here",
        "use `workflow::now()`: the time of the last event, the same in every replay",
        "if it steers nothing: `workflow::nondeterministic!(\"why it is safe\", ..)`";
    chance asks for NoChance:
        "[WF002] a random value is another one in every replay",
        "a replay draws another value here",
        "use `workflow::uuid()` or `workflow::random()`: drawn from the run's stored seed",
        "for a secret, draw it in a `#[step]`",
        "if it steers nothing: `workflow::nondeterministic!(\"why it is safe\", ..)`";
    blocking asks for NoBlocking:
        "[WF004] this blocks the thread of the workflow, or leaves it",
        "all other runs of the thread wait meanwhile, and no record says what comes of it",
        "wait with `workflow::sleep(..)`; do what blocks or takes long in a `#[step]`",
        "if it cannot block: `workflow::nondeterministic!(\"why it is safe\", ..)`";
    task asks for NoTask:
        "[WF005] a spawned task is no part of the workflow: it runs without a record",
        "nothing repeats it after a crash, and every replay starts it once more",
        "branches of a workflow: `tokio::join!`, `workflow::spawn(..)`, `workflow::map(..)`",
        "for work in the background: a `#[step]`";
    random_select asks for FixedOrder:
        "[WF006] this `select!` polls its branches in random order",
        "a replay could pick another winner",
        "use `workflow::select!`, by this path, or begin it with `biased;`",
        "`futures::select!` has a sibling with a fixed order: `futures::select_biased!`";
    outside asks for NoOutside:
        "[WF007] what is outside of the workflow may be different in a replay",
        "a replay may find something else here, and does it once more",
        "read and write it in a `#[step]`, or make it an argument of the workflow",
        "if it steers nothing: `workflow::nondeterministic!(\"why it is safe\", ..)`";
    hash_order asks for StableOrder:
        "[WF008] the order of a hash table is another one in every process",
        "a replay walks through it in another order",
        "use a `BTreeMap`, a `BTreeSet` or a `Vec`, or collect and sort first",
        "if the order makes no difference: `workflow::nondeterministic!(\"why\", ..)`";
    static_mut asks for NoStaticMut:
        "[WF009] a static is as it was left by whatever ran before in this process",
        "a replay after a restart finds another value in it",
        "use a variable of the workflow, an argument, or a `#[step]` that reads it";
    machine asks for NoMachine:
        "[WF011] threads, processes and machines are others in a replay",
        "a replay runs elsewhere",
        "ask for it in a `#[step]`",
        "if it steers nothing: `workflow::nondeterministic!(\"why it is safe\", ..)`";
    async_closure asks for CheckedClosure:
        "[WF016] an `async` closure cannot be checked in a workflow",
        "what it awaits could be anything",
        "write `|..| async move {{ .. }}`: the awaits in such a block are checked";
}

/// For each code: a function whose call is the warning.
macro_rules! doubtful {
    ($($function:ident: $message:literal;)*) => { $(
        #[deprecated(note = $message)]
        #[doc(hidden)]
        pub const fn $function() {}
    )* };
}

doubtful! {
    global_state: "[WF009] a replay after a restart finds another value in it. Make it an argument \
        of the workflow, or read it in a `#[step]`. If it steers nothing: \
        `workflow::nondeterministic!(\"why it is safe\", ..)`";
    printed_again: "[WF010] it is printed once more by every replay. Use `tracing`, whose events \
        are silent while a history is replayed";
    address: "[WF011] an address is another one in every replay. If it steers nothing: \
        `workflow::nondeterministic!(\"why it is safe\", ..)`";
    swallowed_panic: "[WF014] a panic that is caught is no outcome that a replay repeats. Let the \
        run be blocked, or return a `Failure`";
}
