//! x
extern crate self as workflow_runtime;
#[doc(hidden)]
pub mod __private;
mod call;
mod client;
mod clock;
mod codec;
mod error;
mod inbox;
mod model;
mod panics;
mod registry;
mod runtime;
mod state;
pub mod step;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod turn;
mod worker;
pub mod workflow;
pub use call::{Call, Definer, Definition, Direct, Outcome, Step, Workflow};
pub use client::{Handle, RunResult};
pub use clock::Timestamp;
pub use error::{BoxError, Error, ErrorKind, Failure, FailureKind, Result};
pub use model::{Blocked, BlockedKind, History, HistoryEvent, RetryPolicy, Status};
pub use runtime::{Builder, Durability, Runtime};
pub use uuid::Uuid;
pub use workflow_macros::{step, workflow};
