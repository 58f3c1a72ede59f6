//! Notices what code reaches through libc while it is watched: clocks, chance,
//! the environment, files, sockets, threads. For tests.
//!
//! A workflow is replayed, and whatever it learns from elsewhere than its
//! history may be different the next time. Checks of its source do not see into
//! the functions it calls; this crate sees what they do. It defines the symbols
//! of libc that such calls go through, `clock_gettime` for one: each hands on to
//! libc, and first keeps the stack if this thread is being watched.
//!
//! ```
//! use workflow_sanitize::{Kind, Log, watch};
//!
//! let log = Log::new();
//! let here = log.here();
//! let began = watch("order-7", std::time::Instant::now);
//! drop(here);
//! # let _not_used = began;
//! # if cfg!(all(target_os = "linux", target_env = "gnu")) {
//! let found = log.take();
//! assert_eq!((found[0].kind, &*found[0].label), (Kind::Clock, "order-7"));
//! # }
//! ```
//!
//! # Where it works
//!
//! On Linux with glibc. Elsewhere the functions are there and nothing is found.
//!
//! It must be linked into the executable: in a library that is loaded later its
//! symbols would come after those of libc. Symbols belong to the whole process,
//! and calls cost a little more: this is nothing for what is shipped.
//!
//! # What is not found
//!
//! System calls that do not go through these functions, what libc does inside
//! itself, `std::env::vars` (it reads a variable, not a function), the vDSO
//! called directly, and what the first user of a thread drew for all later ones:
//! a seed in a thread-local. Without the names of functions (a stripped
//! executable) nothing is found; without line tables places have no lines.
//!
//! What has no influence on watched code is left out: the keys of hash tables,
//! backtraces, what `tracing` and `log` do with an event, and what a thread does
//! while it panics.

mod finding;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod resolve;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod stack;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod symbols;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod watch;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
#[path = "elsewhere.rs"]
mod watch;

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests;

pub use finding::{Finding, Frame, Kind};
pub use watch::{Here, Log, Unwatched, inherited, unwatched, watch};
