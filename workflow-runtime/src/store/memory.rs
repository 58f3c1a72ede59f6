//! The store in memory: the reference that says in plain code what every other
//! store must do. Nothing survives the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Counter, Loaded, Store, refusal};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::model::{
    Answer, Block, CallId, End, Event, FailedAttempt, Item, OpenRun, RunId, RunRecord, Start,
    StoredRun, WriterId,
};

/// Keeps runs in memory.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore(Mutex<Tables>);

impl MemoryStore {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tables, without a lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    runs: BTreeMap<RunId, Run>,
    ids: BTreeMap<Arc<str>, RunId>,
    active: BTreeMap<RunId, Active>,
    history: BTreeMap<(RunId, u32), Event>,
    attempts: BTreeMap<(RunId, CallId), FailedAttempt>,
    blocked: BTreeMap<(RunId, Arc<str>), Block>,
    counters: BTreeMap<Counter, i64>,
}

#[derive(Clone, Debug)]
struct Run {
    start: Start,
    end: Option<End>,
}

#[derive(Clone, Debug)]
struct Active {
    owner: Option<WriterId>,
    due: Timestamp,
}

impl Tables {
    /// Applies each item by itself.
    pub(crate) fn commit(&mut self, items: &[Item]) -> Vec<Answer> {
        items.iter().map(|item| self.apply(item)).collect()
    }

    fn apply(&mut self, item: &Item) -> Answer {
        if let Some(answer) = self.check(item) {
            return answer;
        }
        self.write(item);
        Answer::Committed
    }

    /// The answer, if the item must not go in.
    fn check(&self, item: &Item) -> Option<Answer> {
        if let Some(refused) = refusal(item) {
            return Some(refused);
        }
        if let Some(start) = &item.start {
            return match self.ids.get(&start.id) {
                Some(run) if *run != item.run => Some(Answer::Taken(*run)),
                Some(_) | None => None,
            };
        }
        let Some(run) = self.runs.get(&item.run) else { return Some(Answer::MissingPredecessor) };
        if let Some(first) = item.events.first() {
            if let Some(present) = self.history.get(&(item.run, first.seq)) {
                return (present.writer != item.writer).then_some(Answer::Conflict);
            }
            if run.end.is_some() {
                return Some(Answer::Conflict);
            }
            let before = first.seq - 1;
            let follows = before == 0 || self.history.contains_key(&(item.run, before));
            return (!follows).then_some(Answer::MissingPredecessor);
        }
        let owner = self.active.get(&item.run).map(|active| active.owner);
        match owner {
            Some(None) => None,
            Some(Some(owner)) if owner == item.writer => None,
            Some(Some(_)) | None => Some(Answer::Conflict),
        }
    }

    fn write(&mut self, item: &Item) {
        let (run, writer) = (item.run, item.writer);
        if let Some(start) = &item.start
            && !self.runs.contains_key(&run)
        {
            self.ids.insert(Arc::clone(&start.id), run);
            self.runs.insert(run, Run { start: start.clone(), end: None });
            self.active.insert(run, Active { owner: Some(writer), due: start.at });
        }
        for event in &item.events {
            self.history.entry((run, event.seq)).or_insert_with(|| event.clone());
        }
        for call in &item.settled {
            self.attempts.remove(&(run, *call));
        }
        for failed in &item.failed_attempts {
            self.attempts.insert((run, failed.call), failed.clone());
        }
        if item.unblock {
            self.blocked.retain(|(blocked, _), _| *blocked != run);
        }
        if let Some(block) = &item.block {
            self.blocked.insert((run, Arc::clone(&block.build)), block.clone());
        }
        let leaves = item.park.or_else(|| item.block.as_ref().map(|_| Timestamp::NEVER));
        if let Some(active) = self.active.get_mut(&run)
            && let Some(due) = leaves
            && active.owner == Some(writer)
            && active.due != due
        {
            *active = Active { owner: None, due };
        }
        if let Some(end) = &item.end {
            self.close(run, end);
        }
    }

    fn close(&mut self, run: RunId, end: &End) {
        if let Some(run) = self.runs.get_mut(&run) {
            run.end.get_or_insert_with(|| end.clone());
        }
        self.active.remove(&run);
        self.attempts.retain(|(of, _), _| *of != run);
        self.blocked.retain(|(of, _), _| *of != run);
    }

    fn take_over(&mut self, writer: WriterId, build: &str, now: Timestamp) {
        for (run, active) in &mut self.active {
            let refused = |of: &(RunId, Arc<str>)| of.0 == *run && &*of.1 == build;
            if active.owner == Some(writer) {
                continue;
            }
            let blocked = self.blocked.keys().any(|of| of.0 == *run);
            if self.blocked.keys().any(refused) {
                *active = Active { owner: None, due: Timestamp::NEVER };
            } else if active.owner.is_some() || blocked {
                *active = Active { owner: None, due: now };
            }
        }
    }

    fn claim(&mut self, writer: WriterId, now: Timestamp, limit: u32) -> Vec<RunId> {
        let mut due: Vec<_> = self
            .active
            .iter_mut()
            .filter(|(_, active)| active.owner.is_none() && active.due <= now)
            .collect();
        due.sort_by_key(|(run, active)| (active.due, **run));
        let claimed = due.into_iter().take(limit as usize);
        claimed
            .map(|(run, active)| {
                active.owner = Some(writer);
                *run
            })
            .collect()
    }

    fn record(&self, id: RunId) -> Option<RunRecord> {
        let Run { start, end, .. } = self.runs.get(&id)?.clone();
        let open = self.active.get(&id).map(|active| OpenRun {
            due: active.due,
            owned: active.owner.is_some(),
            blocked: self
                .blocked
                .iter()
                .filter(|((run, _), _)| *run == id)
                .max_by_key(|(_, block)| block.at)
                .map(|(_, block)| Arc::clone(&block.report)),
        });
        let Start { workflow, id: name, args, seed, decided, at } = start;
        Some(RunRecord { run: id, workflow, id: name, args, seed, decided, created: at, end, open })
    }

    pub(crate) fn history(&self, run: RunId) -> Vec<Event> {
        let rows = self.history.range((run, 0)..=(run, u32::MAX));
        rows.map(|(_, event)| event.clone()).collect()
    }

    pub(crate) fn load(&self, run: RunId) -> Option<StoredRun> {
        let record = self.record(run)?;
        let attempts = self.attempts.iter().filter(|((of, _), _)| *of == run);
        let failed_attempts = attempts.map(|(_, failed)| failed.clone()).collect();
        Some(StoredRun { record, history: self.history(run), failed_attempts })
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, items: &[Item]) -> Result<Vec<Answer>, Error> {
        Ok(self.tables().commit(items))
    }

    async fn reserve(&self, counter: Counter, count: u32) -> Result<i64, Error> {
        let mut tables = self.tables();
        let next = tables.counters.entry(counter).or_insert(1);
        let first = *next;
        *next += i64::from(count);
        Ok(first)
    }

    async fn take_over(&self, writer: WriterId, build: &str, now: Timestamp) -> Result<(), Error> {
        self.tables().take_over(writer, build, now);
        Ok(())
    }

    async fn claim(
        &self,
        writer: WriterId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<RunId>, Error> {
        Ok(self.tables().claim(writer, now, limit))
    }

    async fn owned(&self, writer: WriterId) -> Result<Vec<RunId>, Error> {
        let tables = self.tables();
        let held = tables.active.iter().filter(|(_, active)| active.owner == Some(writer));
        Ok(held.map(|(run, _)| *run).collect())
    }

    async fn load(&self, runs: &[RunId]) -> Result<Vec<(RunId, Loaded)>, Error> {
        let tables = self.tables();
        Ok(runs.iter().filter_map(|run| Some((*run, Ok(tables.load(*run)?)))).collect())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        let tables = self.tables();
        let free = tables.active.values().filter(|active| active.owner.is_none());
        Ok(free.map(|active| active.due).filter(|due| *due != Timestamp::NEVER).min())
    }

    async fn release(&self, writer: WriterId, now: Timestamp) -> Result<(), Error> {
        let mut tables = self.tables();
        for active in tables.active.values_mut() {
            if active.owner == Some(writer) {
                *active = Active { owner: None, due: now };
            }
        }
        Ok(())
    }

    async fn find(&self, id: &str) -> Result<Option<RunRecord>, Error> {
        let tables = self.tables();
        Ok(tables.ids.get(id).and_then(|run| tables.record(*run)))
    }

    async fn history(&self, run: RunId) -> Result<Vec<Event>, Error> {
        Ok(self.tables().history(run))
    }

    async fn close(&self) {}
}

#[cfg(test)]
impl Tables {
    /// Gives a run to another writer, as a takeover does.
    pub(crate) fn seize(&mut self, run: RunId, writer: WriterId, now: Timestamp) {
        self.active.insert(run, Active { owner: Some(writer), due: now });
    }

    pub(crate) fn claim_due(&mut self, writer: WriterId, now: Timestamp) -> Vec<RunId> {
        self.claim(writer, now, u32::MAX)
    }
}
