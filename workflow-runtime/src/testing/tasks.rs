//! Polls the parts of a test: it knows when none of them can go on.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

pub(super) type TaskId = u64;
type Part = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
pub(super) struct Tasks {
    all: BTreeMap<TaskId, (Part, Arc<Flag>)>,
    next: TaskId,
    root: Arc<Mutex<Option<Waker>>>,
}

/// Woken since it was polled last.
struct Flag {
    woken: AtomicBool,
    root: Arc<Mutex<Option<Waker>>>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        let root = self.root.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(root) = root {
            root.wake();
        }
    }
}

impl Tasks {
    pub(super) fn spawn(&mut self, part: impl Future<Output = ()> + 'static) -> TaskId {
        let flag = Flag { woken: AtomicBool::new(true), root: Arc::clone(&self.root) };
        self.next += 1;
        self.all.insert(self.next, (Box::pin(part), Arc::new(flag)));
        self.next
    }

    /// Dropped where it stands.
    pub(super) fn drop_one(&mut self, id: TaskId) {
        drop(self.all.remove(&id));
    }

    pub(super) fn is_over(&self, id: TaskId) -> bool {
        !self.all.contains_key(&id)
    }

    /// Polls every part that was woken, once, oldest first. False: none was.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> bool {
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        *root = Some(cx.waker().clone());
        drop(root);
        let woken = self.all.iter().filter(|(_, (_, flag))| flag.woken.load(Ordering::Acquire));
        let woken: Vec<TaskId> = woken.map(|(id, _)| *id).collect();
        for id in &woken {
            let Some((mut part, flag)) = self.all.remove(id) else { continue };
            flag.woken.store(false, Ordering::Release);
            let waker = Waker::from(Arc::clone(&flag));
            if part.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                self.all.insert(*id, (part, flag));
            }
        }
        !woken.is_empty()
    }
}
