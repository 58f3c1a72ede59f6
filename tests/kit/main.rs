//! The test kit, used as its users use it.

mod crash;
mod mocks;
mod orders;
mod repeat;
mod time;
mod verdicts;
