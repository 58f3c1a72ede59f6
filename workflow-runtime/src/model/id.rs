//! Numbers that name things. All come from counters in the store or from the
//! order of first polls; none is random.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub(crate) struct $name(pub(crate) $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A run, inside one database.
    RunId(i64)
}
id! {
    /// A call inside one run: its place in the order of first polls, from 0.
    CallId(u32)
}
id! {
    /// One life of one process that writes to the store; never used again.
    WriterId(i64)
}

/// Longest workflow id or id of a message, in bytes.
pub(crate) const MAX_ID: usize = 512;

/// Whether an id that somebody gave can be stored.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn check_id(id: &str) -> Result<(), String> {
    match id.len() {
        1..=MAX_ID if id.contains('\0') => Err("a workflow id has no NUL character".to_owned()),
        1..=MAX_ID => Ok(()),
        found => Err(format!("a workflow id has 1 to {MAX_ID} bytes, and this one has {found}")),
    }
}
