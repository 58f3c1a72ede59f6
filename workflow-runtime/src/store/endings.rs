//! x
pub(crate) struct Endings;
pub(crate) struct Ending;
