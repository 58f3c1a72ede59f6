//! The test kit, used as its users use it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "it is a test")]

mod children;
mod crash;
mod golden;
mod mailbox;
mod mocks;
mod orders;
mod repeat;
mod requests;
mod restart;
mod signals;
mod time;
mod verdicts;
