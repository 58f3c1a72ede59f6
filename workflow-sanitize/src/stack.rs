//! Stacks as addresses, in memory that was there before: a call may come from
//! inside an allocator.

use crate::Kind;
use crate::symbols;

/// So many frames of a stack are kept, from its innermost on.
const DEPTH: usize = 128;
/// So many different stacks of one turn are kept.
const MOST: usize = 64;

/// A function of libc that is watched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// A call and the stack it was made from.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Stack {
    pub(crate) function: Function,
    frames: [usize; DEPTH],
    len: usize,
}

impl Stack {
    /// The stack of whoever calls. Allocates nothing.
    pub(crate) fn here(function: Function) -> Self {
        let mut frames = [0; DEPTH];
        let len = symbols::trace(&mut frames);
        Self { function, frames, len }
    }

    /// Return addresses, innermost first.
    pub(crate) fn frames(&self) -> &[usize] {
        self.frames.get(..self.len).unwrap_or_default()
    }
}

/// The different stacks of one turn.
pub(crate) struct Stacks(Vec<Stack>);

impl Stacks {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Makes room, so that [`add`](Self::add) needs none.
    pub(crate) fn reserve(&mut self) {
        self.0.reserve_exact(MOST.saturating_sub(self.0.len()));
    }

    /// Allocates nothing: what has no room is left out.
    pub(crate) fn add(&mut self, stack: Stack) {
        if self.0.len() < self.0.capacity() && !self.0.contains(&stack) {
            self.0.push(stack);
        }
    }

    /// Empties it; its room stays.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Stack> {
        self.0.drain(..)
    }
}
