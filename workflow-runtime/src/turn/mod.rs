//! The replay engine: a workflow as a function of its history.
//!
//! Pure: no store, no clock, no thread and no executor of its own. Time comes
//! in with each event; what is to be written comes out as an
//! [`Item`](crate::model::Item); what is to be done, as [`Effects`].

mod actor;
mod branches;
mod compare;
mod current;
mod fault;
mod instance;
mod replay;
mod scope;
mod table;
#[cfg(test)]
mod tests;
mod waker;

pub(crate) use actor::{Actor, Effects, Fate, Identity, seed_of_child};
pub(crate) use branches::BranchFuture;
pub(crate) use current::{
    Place, Polled, detach_call, drop_call, make_call, poll_call, set_fault, with_table,
};
pub(crate) use fault::Fault;
#[cfg(feature = "testing")]
pub(crate) use replay::verify;
pub(crate) use replay::{rehearse, second_opinion};
pub(crate) use scope::{ScopeId, Standing};
pub use table::OnParentEnd;
pub(crate) use table::{CallSpec, ChildSpec, Overrides, RunInfo, SendSpec, Table, Target};
