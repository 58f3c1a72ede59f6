//! Who waits for the end of which run, in this process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;

use crate::model::{End, RunId};

/// The end of one run, once it is durable.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    end: Mutex<Option<End>>,
    told: Notify,
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

    /// Waits for the end.
    pub(crate) async fn wait(&self) -> End {
        loop {
            let told = self.told.notified();
            // `notify_waiters` reaches whoever made the future before it.
            if let Some(end) = self.get() {
                return end;
            }
            told.await;
        }
    }
}

/// The ends that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Endings(Mutex<BTreeMap<RunId, Weak<Ending>>>);

impl Endings {
    /// Where the end of `run` will be told.
    pub(crate) fn of(&self, run: RunId) -> Arc<Ending> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&run).and_then(Weak::upgrade) {
            return known;
        }
        let new = Arc::new(Ending::default());
        all.insert(run, Arc::downgrade(&new));
        new
    }

    /// The run leaves memory: forgets it if nobody waits.
    pub(crate) fn leave(&self, run: RunId) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(&run).is_some_and(|waiting| waiting.strong_count() == 0) {
            all.remove(&run);
        }
    }

    /// Tells that `run` ended, durably.
    pub(crate) fn tell(&self, run: RunId, end: End) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
        if let Some(waiting) = waiting.and_then(|waiting| waiting.upgrade()) {
            waiting.set(end);
        }
    }
}
