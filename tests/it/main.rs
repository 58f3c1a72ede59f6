//! The integration tests: one binary.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on is over"
)]

mod awaits;
mod cancel;
mod client;
mod crash;
mod damage;
mod deploy;
mod deploy_mail;
mod disaster;
mod disk;
mod examples;
mod fleet;
mod forms;
mod fsync;
mod keeping;
mod kill;
mod lifecycle;
mod limits;
mod mail;
mod power;
mod processes;
mod restart;
mod sleepers;
mod steps;
mod stuck;
mod tidy;
mod time;
