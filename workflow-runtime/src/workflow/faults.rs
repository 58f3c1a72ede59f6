//! What the macros found in a body and a type check cannot find: functions that
//! no code can call.
//!
//! They are errors of the type check on purpose. `compile_error!` would hide
//! the other errors of the same body.

use std::marker::PhantomData;

/// Has no trait of this module, ever. Its lifetime keeps the bounds below from
/// being errors here already.
#[derive(Debug)]
pub struct Never<'a>(PhantomData<&'a ()>);

#[diagnostic::on_unimplemented(
    message = "[WF006] this `select!` polls its branches in random order",
    label = "a replay could pick another winner",
    note = "use `workflow::select!`, by this path, or begin it with `biased;`",
    note = "`futures::select!` has a sibling with a fixed order: `futures::select_biased!`"
)]
pub trait FixedOrder {}

/// A `select!` that draws where it begins.
pub fn random_select()
where
    for<'a> Never<'a>: FixedOrder,
{
}

#[diagnostic::on_unimplemented(
    message = "[WF016] an `async` closure cannot be checked in a workflow",
    label = "what it awaits could be anything",
    note = "write `|..| async move {{ .. }}`: the awaits in such a block are checked"
)]
pub trait CheckedClosure {}

/// `async |..| ..`
pub fn async_closure()
where
    for<'a> Never<'a>: CheckedClosure,
{
}
