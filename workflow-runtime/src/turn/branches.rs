//! Branches that a workflow spawned: polled after its own future, in the order
//! in which they were spawned.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::current::with_table;

/// A branch, its result kept where whoever spawned it finds it.
pub(crate) type BranchFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A branch that was not polled yet.
pub(super) struct Spawned {
    pub(super) future: BranchFuture,
    /// No cancellation reaches it.
    pub(super) shielded: bool,
}

#[derive(Default)]
pub(super) struct Branches(Vec<Option<Branch>>);

struct Branch {
    future: BranchFuture,
    shielded: bool,
    woken: Arc<Woken>,
    waker: Waker,
}

/// Whether a branch has to be polled; tells the run's own waker too.
struct Woken {
    woken: AtomicBool,
    root: Waker,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.root.wake_by_ref();
    }
}

impl Branch {
    fn poll(&mut self) -> Poll<()> {
        let shield = self.shielded.then(|| with_table(|table| table.scopes.enter_shield()));
        let polled = self.future.as_mut().poll(&mut Context::from_waker(&self.waker));
        if let Some(Some(before)) = shield {
            with_table(|table| table.scopes.back(before));
        }
        polled
    }
}

impl Branches {
    /// Polls those that were woken, and those that were spawned meanwhile.
    pub(super) fn poll(&mut self, root: &Waker) {
        self.take_spawned(root);
        let mut n = 0;
        while let Some(slot) = self.0.get_mut(n) {
            if let Some(branch) = slot
                && branch.woken.woken.swap(false, Ordering::AcqRel)
                && branch.poll().is_ready()
            {
                *slot = None;
            }
            self.take_spawned(root);
            n += 1;
        }
    }

    fn take_spawned(&mut self, root: &Waker) {
        let spawned = with_table(|table| std::mem::take(&mut table.spawned)).unwrap_or_default();
        for Spawned { future, shielded } in spawned {
            let woken = Arc::new(Woken { woken: AtomicBool::new(true), root: root.clone() });
            let waker = Arc::clone(&woken).into();
            self.0.push(Some(Branch { future, shielded, woken, waker }));
        }
    }
}
