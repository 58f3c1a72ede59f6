//! Whether this thread is watched, and where what it is seen doing goes.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::finding::Finding;
use crate::resolve;
use crate::stack::{Function, Stack, Stacks};

/// The file of [`watch`], as debug information ends.
pub(crate) const FILE: &str = file!();
/// So many different stacks of a log wait to be taken.
const MOST: usize = 512;

thread_local! {
    // Without a destructor and without an initializer: reading them is no more
    // than that, wherever the call comes from.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static LOOKS_AWAY: Cell<bool> = const { Cell::new(false) };
    static HERE: RefCell<Desk> = const { RefCell::new(Desk { stacks: Stacks::new(), log: None }) };
}

/// What a thread writes with.
struct Desk {
    /// Of the turn that is watched now.
    stacks: Stacks,
    log: Option<Log>,
}

/// Where findings go. Cheap to clone: it is the same log.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<(String, Stack)>>>);

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Log of {} stacks", self.stacks().len())
    }
}

impl Log {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What this thread is seen doing goes there until the value is dropped;
    /// then to the log before it, if there was one.
    pub fn here(&self) -> Here {
        Here { before: swap(Some(self.clone())) }
    }

    /// What was found since it was asked last: each place once. Not to be asked
    /// for within [`watch`].
    #[must_use]
    pub fn take(&self) -> Vec<Finding> {
        // Names are looked up without the lock.
        let stacks = std::mem::take(&mut *self.stacks());
        let mut found: Vec<Finding> = Vec::new();
        for finding in stacks.iter().filter_map(|(label, stack)| resolve::finding(label, stack)) {
            let is_known = found.iter().any(|other| {
                (&other.label, other.kind, &other.place)
                    == (&finding.label, finding.kind, &finding.place)
            });
            if !is_known {
                found.push(finding);
            }
        }
        found
    }

    fn add(&self, label: &str, stack: Stack) {
        let mut stacks = self.stacks();
        if stacks.len() < MOST && stacks.iter().all(|(_, known)| *known != stack) {
            stacks.push((label.to_owned(), stack));
        }
    }

    fn stacks(&self) -> MutexGuard<'_, Vec<(String, Stack)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What this thread is seen doing goes to a log while it is there.
#[derive(Debug)]
#[must_use = "the log is this thread's until it is dropped"]
pub struct Here {
    before: Option<Log>,
}

impl Drop for Here {
    fn drop(&mut self) {
        swap(self.before.take());
    }
}

/// The log of this thread is another one from here on; gives the one before.
fn swap(log: Option<Log>) -> Option<Log> {
    // A thread that ends has no desk any more, and finds nothing.
    HERE.try_with(|here| std::mem::replace(&mut here.borrow_mut().log, log)).ok().flatten()
}

/// A body for another thread that writes to the log of this one.
pub fn inherited<R>(body: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let log = HERE.try_with(|here| here.borrow().log.clone()).ok().flatten();
    move || {
        let _here = log.map(|log| log.here());
        body()
    }
}

/// Runs `body`; what it calls on this thread meanwhile goes to the log that is
/// [here](Log::here). `label` says later whose turn it was. Without a log nothing
/// is watched.
///
/// Threads that `body` starts are not watched. A `watch` within another is a
/// part of it, and has no label of its own.
// Its own frame is where a stack is cut.
#[inline(never)]
pub fn watch<R>(label: &str, body: impl FnOnce() -> R) -> R {
    let _turn = Turn::begin(label);
    body()
}

/// Ends by whichever way it is left.
struct Turn<'a> {
    label: &'a str,
    log: Log,
}

impl<'a> Turn<'a> {
    fn begin(label: &'a str) -> Option<Self> {
        if WATCHED.get() {
            return None;
        }
        let begun = HERE.try_with(|here| {
            let mut here = here.borrow_mut();
            let log = here.log.clone()?;
            // What is called in the turn must find room without asking for it.
            here.stacks.reserve();
            Some(Self { label, log })
        });
        let turn = begun.ok().flatten()?;
        LOOKS_AWAY.set(false);
        WATCHED.set(true);
        Some(turn)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // First of all: what follows allocates.
        WATCHED.set(false);
        let _gone = HERE.try_with(|here| {
            here.borrow_mut().stacks.drain().for_each(|stack| self.log.add(self.label, stack));
        });
    }
}

/// Looks away from what this thread does until the value is dropped, or the
/// turn ends: somebody answers for it.
pub fn unwatched() -> Unwatched {
    Unwatched { before: LOOKS_AWAY.replace(true) }
}

/// What is called while it is there is not found.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Unwatched {
    before: bool,
}

impl Drop for Unwatched {
    fn drop(&mut self) {
        LOOKS_AWAY.set(self.before);
    }
}

/// Called by whatever stands in the place of a function of libc. It neither
/// allocates nor panics nor waits.
pub(crate) fn note(function: Function) {
    if !WATCHED.get() || LOOKS_AWAY.get() || std::thread::panicking() {
        return;
    }
    // What keeping a stack calls is none of the watched code's doing.
    LOOKS_AWAY.set(true);
    let _gone = HERE.try_with(|here| {
        if let Ok(mut here) = here.try_borrow_mut() {
            here.stacks.add(Stack::here(function));
        }
    });
    LOOKS_AWAY.set(false);
}
