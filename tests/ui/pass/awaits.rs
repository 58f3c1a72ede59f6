//! A user's crate that denies warnings. The integration tests run the same
//! programs.
#![deny(warnings)]

#[path = "../../it/awaits/allowed.rs"]
mod allowed;
#[path = "../../it/awaits/branches.rs"]
mod branches;
#[path = "../../it/awaits/combinators.rs"]
mod combinators;
#[path = "../../it/awaits/helpers.rs"]
mod helpers;
#[path = "../../it/awaits/statements.rs"]
mod statements;

fn main() {}
