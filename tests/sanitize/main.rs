//! The test kit with the sanitizer: what helpers of a workflow read is found,
//! and nothing else is.

#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "it is a test")]

mod found;
mod helpers;
mod silent;
