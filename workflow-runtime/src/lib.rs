//! x
extern crate self as workflow_runtime;
mod clock;
mod codec;
mod error;
mod model;
mod panics;
mod state;
mod store;
mod turn;
pub use error::{Error, ErrorKind, Failure, FailureKind, Result};
