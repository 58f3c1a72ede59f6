//! The integration tests: one binary.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on is over"
)]

mod awaits;
mod client;
mod crash;
mod deploy;
mod examples;
mod forms;
mod kill;
mod lifecycle;
mod steps;
mod tidy;
mod time;
