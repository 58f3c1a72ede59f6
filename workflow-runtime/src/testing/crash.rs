//! A real process that ends at a chosen commit, as `kill -9` would end it.

use std::sync::Arc;

use crate::error::Error;
use crate::store::{Disturbance, Disturbed, Store};

/// Where a process ends, as `kill -9` would end it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CrashPoint {
    /// When the commit of that number, from 1, is about to be made: what it
    /// holds is not durable.
    BeforeCommit(u64),
    /// When the commit of that number, from 1, is made and nobody knows yet.
    AfterCommit(u64),
}

pub(crate) fn crashing(inner: Arc<dyn Store>, point: CrashPoint) -> Arc<dyn Store> {
    Disturbed::around(inner, point)
}

impl Disturbance for CrashPoint {
    fn before_commit(&self, number: u64) -> Result<(), Error> {
        if *self == Self::BeforeCommit(number) {
            std::process::abort();
        }
        Ok(())
    }

    fn after_commit(&self, number: u64) -> Result<(), Error> {
        if *self == Self::AfterCommit(number) {
            std::process::abort();
        }
        Ok(())
    }
}
