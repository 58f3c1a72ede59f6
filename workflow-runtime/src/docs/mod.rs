//! Guides.

#[doc = include_str!("../../docs/durability.md")]
pub mod durability {}

#[doc = include_str!("../../docs/determinism.md")]
pub mod determinism {}

#[doc = include_str!("../../docs/checks.md")]
pub mod checks;

#[doc = include_str!("../../docs/communication.md")]
pub mod communication {}

#[doc = include_str!("../../docs/directing.md")]
pub mod directing {}

#[cfg(feature = "postgres")]
#[doc = include_str!("../../docs/fleets.md")]
pub mod fleets {}

#[cfg(feature = "postgres")]
#[doc = include_str!("../../docs/operations.md")]
pub mod operations {}

#[cfg(feature = "testing")]
#[doc = include_str!("../../docs/testing.md")]
pub mod testing {}

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub mod readme {}
