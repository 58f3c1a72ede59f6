//! The integration tests: one binary.

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
