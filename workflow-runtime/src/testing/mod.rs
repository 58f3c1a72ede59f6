//! The test kit: workflows in virtual time, with mocks, crashes and every order
//! of events. Feature `testing`. [The guide](super::docs::testing).
//!
//! It is the production engine on the memory store. Time moves by itself when
//! nothing else can run.

mod act;
mod calls;
mod crash;
mod damage;
mod drive;
mod explore;
mod external;
#[cfg(feature = "sqlite")]
mod file;
mod gate;
mod golden;
mod mock;
mod plan;
#[cfg(feature = "proptest")]
mod property;
mod report;
#[cfg(feature = "sanitize")]
mod sanitize;
mod sim;
mod simulate;
mod tasks;
mod verify;
mod world;

pub use calls::StepCall;
pub use crash::CrashPoint;
pub(crate) use crash::crashing;
#[doc(hidden)]
pub use damage::Row;
pub use explore::{Config, Schedules, Verdict, check};
pub use external::{External, Lost};
pub use golden::{Recorded, replay_file, replay_new_files};
pub use mock::{Spy, StepFault};
pub use plan::{Fault, Plan};
#[cfg(feature = "proptest")]
pub use property::plans;
pub use sim::{Point, Sim};
pub use simulate::simulate;

/// Makes a test of each history file: `replay_tests!("tests/histories/*.json")`.
/// A test with `record = "name"` writes such files.
pub use workflow_macros::replay_tests;
