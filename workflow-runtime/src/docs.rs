//! Guides.

#[doc = include_str!("../docs/durability.md")]
pub mod durability {}

#[doc = include_str!("../docs/determinism.md")]
pub mod determinism {}
