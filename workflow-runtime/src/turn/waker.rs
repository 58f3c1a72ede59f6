//! The root waker of a run. A workflow is polled after an event, or because it
//! woke itself while it was polled; a wake from elsewhere is noted, as nothing
//! that a replay could repeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::thread::{self, ThreadId};

pub(super) struct Root {
    owner: ThreadId,
    /// The owner is polling, delivering or dropping.
    inside: AtomicBool,
    woken: AtomicBool,
    foreign: AtomicBool,
}

impl Root {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            owner: thread::current().id(),
            inside: AtomicBool::new(false),
            woken: AtomicBool::new(false),
            foreign: AtomicBool::new(false),
        })
    }

    /// Wakes by this thread count as the run's own while `body` runs.
    pub(super) fn inside<R>(&self, body: impl FnOnce() -> R) -> R {
        self.inside.store(true, Ordering::Release);
        let result = body();
        self.inside.store(false, Ordering::Release);
        result
    }

    /// Whether the run woke itself since the last call.
    pub(super) fn take_woken(&self) -> bool {
        self.woken.swap(false, Ordering::AcqRel)
    }

    /// Whether anything else woke it.
    pub(super) fn was_foreign(&self) -> bool {
        self.foreign.load(Ordering::Acquire)
    }
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let own = self.inside.load(Ordering::Acquire) && thread::current().id() == self.owner;
        let noted = if own { &self.woken } else { &self.foreign };
        noted.store(true, Ordering::Release);
    }
}
