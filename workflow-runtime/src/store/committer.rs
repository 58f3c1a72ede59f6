//! x
pub(crate) struct Committer;
