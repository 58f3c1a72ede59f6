//! Branches that a workflow spawned: polled after its own future, in the order
//! in which they were spawned.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use super::current::with_table;

/// A branch, its result kept where whoever spawned it finds it.
pub(crate) type BranchFuture = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
pub(super) struct Branches(Vec<Option<Branch>>);

struct Branch {
    future: BranchFuture,
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

impl Branches {
    /// Polls those that were woken, and those that were spawned meanwhile.
    pub(super) fn poll(&mut self, root: &Waker) {
        self.take_spawned(root);
        let mut n = 0;
        while let Some(slot) = self.0.get_mut(n) {
            if let Some(branch) = slot
                && branch.woken.woken.swap(false, Ordering::AcqRel)
                && branch.future.as_mut().poll(&mut Context::from_waker(&branch.waker)).is_ready()
            {
                *slot = None;
            }
            self.take_spawned(root);
            n += 1;
        }
    }

    fn take_spawned(&mut self, root: &Waker) {
        let spawned = with_table(|table| std::mem::take(&mut table.spawned)).unwrap_or_default();
        for future in spawned {
            let woken = Arc::new(Woken { woken: AtomicBool::new(true), root: root.clone() });
            let waker = Arc::clone(&woken).into();
            self.0.push(Some(Branch { future, woken, waker }));
        }
    }
}
