//! What a cancellation reaches: scopes, and shields in them.
//!
//! The workflow itself is a scope, and so is every `cancellable` that is
//! awaited. A cancellation goes to the innermost open scopes. A scope that is
//! cancelled is dropped as soon as no shield in it is open; until then nothing
//! of it that is not shielded gets any further.

use std::task::Waker;

/// A scope of a run: 0 is the workflow itself.
pub(crate) type ScopeId = u32;

/// The workflow itself.
pub(super) const ROOT: ScopeId = 0;

#[derive(Default)]
struct Scope {
    parent: ScopeId,
    open: bool,
    /// Scopes in it that are open.
    inner: u32,
    cancelled: bool,
    /// Shields in it that are open.
    shields: u32,
    waker: Option<Waker>,
}

/// Where a poll stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Standing {
    pub(crate) scope: ScopeId,
    pub(crate) shielded: bool,
}

/// The scopes of a run.
#[derive(Default)]
pub(crate) struct Scopes {
    root: Scope,
    /// From 1.
    others: Vec<Scope>,
    pub(super) at: Standing,
}

impl Scopes {
    fn get(&self, id: ScopeId) -> &Scope {
        let n = (id as usize).checked_sub(1);
        n.and_then(|n| self.others.get(n)).unwrap_or(&self.root)
    }

    fn get_mut(&mut self, id: ScopeId) -> &mut Scope {
        let n = (id as usize).checked_sub(1);
        n.and_then(|n| self.others.get_mut(n)).unwrap_or(&mut self.root)
    }

    /// Opens a scope where the poll stands. Behind a shield no cancellation
    /// finds it.
    pub(crate) fn open(&mut self) -> ScopeId {
        let Standing { scope: parent, shielded } = self.at;
        if !shielded {
            self.get_mut(parent).inner += 1;
        }
        self.others.push(Scope { parent, open: !shielded, ..Scope::default() });
        u32::try_from(self.others.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn close(&mut self, id: ScopeId) {
        let scope = self.get_mut(id);
        if std::mem::replace(&mut scope.open, false) {
            scope.waker = None;
            let parent = scope.parent;
            self.get_mut(parent).inner -= 1;
        }
    }

    /// Goes into a scope; returns where the poll stood.
    pub(crate) fn enter(&mut self, scope: ScopeId, waker: &Waker) -> Standing {
        let shielded = self.at.shielded;
        self.get_mut(scope).waker.get_or_insert_with(|| waker.clone()).clone_from(waker);
        std::mem::replace(&mut self.at, Standing { scope, shielded })
    }

    /// Goes behind a shield; returns where the poll stood.
    pub(crate) fn enter_shield(&mut self) -> Standing {
        let shielded = Standing { shielded: true, ..self.at };
        std::mem::replace(&mut self.at, shielded)
    }

    /// Back to where the poll stood.
    pub(crate) fn back(&mut self, to: Standing) {
        self.at = to;
    }

    /// A shield opens where the poll stands. None: it is behind one already.
    pub(crate) fn shield(&mut self) -> Option<ScopeId> {
        if self.at.shielded {
            return None;
        }
        let scope = self.at.scope;
        self.get_mut(scope).shields += 1;
        Some(scope)
    }

    /// A shield is done. True: its scope is cancelled, and goes no further.
    pub(crate) fn unshield(&mut self, scope: ScopeId) -> bool {
        let scope = self.get_mut(scope);
        scope.shields = scope.shields.saturating_sub(1);
        if scope.cancelled
            && scope.shields == 0
            && let Some(waker) = &scope.waker
        {
            waker.wake_by_ref();
        }
        scope.cancelled
    }

    /// Whether a scope was cancelled and nothing in it is shielded any more.
    pub(crate) fn is_over(&self, id: ScopeId) -> bool {
        let scope = self.get(id);
        scope.cancelled && scope.shields == 0
    }

    /// Whether what stands there gets any further.
    pub(super) fn is_stopped(&self, at: Standing) -> bool {
        !at.shielded && self.get(at.scope).cancelled
    }

    /// Cancels the innermost open scopes, or the workflow; returns whom to wake.
    pub(super) fn cancel(&mut self) -> Vec<Waker> {
        let innermost = self.others.iter_mut().filter(|scope| scope.open && scope.inner == 0);
        let mut wakers = Vec::new();
        let mut any = false;
        for scope in innermost {
            scope.cancelled = true;
            any = true;
            wakers.extend(scope.waker.clone());
        }
        if !any {
            self.root.cancelled = true;
        }
        wakers
    }
}
