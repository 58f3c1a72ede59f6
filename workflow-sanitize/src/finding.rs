//! What was found: plain facts.

use std::fmt;

/// What the function that was called gives or does.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// The time.
    Clock,
    /// Random bytes.
    Random,
    /// A variable of the environment.
    Environment,
    /// A file is opened.
    File,
    /// A socket is made or connected, a name is looked up.
    Socket,
    /// A thread is started.
    Thread,
}

/// One call that watched code made.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// What [`watch`](crate::watch) was told.
    pub label: String,
    /// What was reached.
    pub kind: Kind,
    /// The function of libc.
    pub function: &'static str,
    /// The innermost function whose source is on this machine and no downloaded
    /// dependency; if there is none, the innermost that is not of the standard
    /// library.
    pub place: Frame,
    /// The function of a dependency that it called, if it did not make the call
    /// itself.
    pub called: Option<Frame>,
}

/// A function in a stack.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Frame {
    /// Its path: `shop::dates::today`.
    pub function: String,
    /// `file:line:column`, as far as debug information has it. The file of a
    /// dependency begins with its name and version.
    pub at: Option<String>,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => write!(f, "{at}, in {}", self.function),
            None => write!(f, "{}", self.function),
        }
    }
}
