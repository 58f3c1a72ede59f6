//! What the compiler refuses in workflow code, and what you can teach it.
//!
//! `#[workflow]` and `#[durable]` check the bodies they stand on: see
//! the guide `docs::checks` for every code, why it is there and what to
//! write instead. Checks that go by type see through renames and aliases, and
//! let a type of yours that only has the same name pass. Types of yours that
//! hide a clock, chance, the outside or a hash table are checked too, once you
//! say so:
//!
//! ```
//! use workflow_runtime::lints::{HashOrdered, SystemClock};
//!
//! struct Stopwatch(std::time::Instant);
//!
//! // `Stopwatch::now()` is refused in a workflow from here on.
//! impl SystemClock for Stopwatch {}
//!
//! struct Shelf(std::collections::HashMap<String, u32>);
//!
//! // So is `for item in &shelf`.
//! impl HashOrdered for &Shelf {}
//! ```

pub(crate) mod faults;
mod order;
pub(crate) mod values;
mod vouched;

pub use order::HashOrdered;
pub use values::{Blocking, Outside, RandomValue, SystemClock, Tasks};
#[doc(hidden)]
pub use vouched::Vouched;

/// Documented as `workflow::nondeterministic!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __nondeterministic {
    ($reason:literal, $value:expr $(,)?) => {{
        const _: () = ::core::assert!(!$reason.is_empty(), "say why it is safe");
        let vouched = $crate::lints::Vouched::begin();
        #[allow(
            unknown_lints,
            deprecated,
            clippy::disallowed_macros,
            clippy::disallowed_methods,
            clippy::disallowed_types,
            clippy::iter_over_hash_type
        )]
        let value = $value;
        vouched.end();
        value
    }};
}
