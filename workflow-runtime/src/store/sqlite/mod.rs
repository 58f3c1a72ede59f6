//! x
pub(crate) struct SqliteStore;
pub(crate) struct SqliteOptions;
