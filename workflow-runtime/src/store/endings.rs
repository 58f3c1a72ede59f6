//! Who waits for the end of which run, in this process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;

use super::Store;
use crate::error::Error;
use crate::model::{End, RunId};

/// The end of one run, once it is durable.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    end: Mutex<Option<End>>,
    told: Notify,
    /// Nobody will tell it any more.
    closed: AtomicBool,
}

impl Ending {
    /// The end, if it has come.
    pub(crate) fn get(&self) -> Option<End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, end: End) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(end);
        self.told.notify_waiters();
    }

    /// Waits for the end. None: the runtime was shut down before.
    pub(crate) async fn wait(&self) -> Option<End> {
        loop {
            let told = self.told.notified();
            // `notify_waiters` reaches whoever made the future before it.
            if let Some(end) = self.get() {
                return Some(end);
            }
            if self.closed.load(Ordering::Acquire) {
                return None;
            }
            told.await;
        }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.told.notify_waiters();
    }
}

/// The ends that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Endings {
    waiting: Mutex<BTreeMap<RunId, Weak<Ending>>>,
    closed: AtomicBool,
}

impl Endings {
    /// Where the end of `run` will be told.
    pub(crate) fn of(&self, run: RunId) -> Arc<Ending> {
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&run).and_then(Weak::upgrade) {
            return known;
        }
        let new = Arc::new(Ending::default());
        if self.closed.load(Ordering::Acquire) {
            new.close();
        }
        all.insert(run, Arc::downgrade(&new));
        new
    }

    /// The runs whose end somebody waits for.
    pub(crate) fn waiting(&self) -> Vec<RunId> {
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, waiting| waiting.strong_count() > 0);
        all.keys().copied().collect()
    }

    /// Whether somebody waits for anything.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Nothing ends here any more: every wait is over.
    pub(crate) fn close(&self) {
        let all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.closed.store(true, Ordering::Release);
        for waiting in all.values().filter_map(Weak::upgrade) {
            waiting.close();
        }
    }

    /// No run of that number came to be.
    pub(crate) fn forget(&self, run: RunId) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
    }

    /// The run leaves memory: forgets it if nobody waits.
    pub(crate) fn leave(&self, run: RunId) {
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(&run).is_some_and(|waiting| waiting.strong_count() == 0) {
            all.remove(&run);
        }
    }

    /// Tells that `run` ended, durably.
    pub(crate) fn tell(&self, run: RunId, end: End) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
        if let Some(waiting) = waiting.and_then(|waiting| waiting.upgrade()) {
            waiting.set(end);
        }
    }
}

/// Tells the ends that are in the store and have not been told.
pub(crate) async fn tell_ends(store: &dyn Store, endings: &Endings) -> Result<(), Error> {
    let waiting: Vec<RunId> = endings.waiting();
    if waiting.is_empty() {
        return Ok(());
    }
    for (run, end) in store.ends(&waiting).await? {
        endings.tell(run, end);
    }
    Ok(())
}
