//! The store in memory: the reference that says in plain code what every other
//! store must do. Nothing survives the process.

mod control;
mod mail;
mod tables;

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Counter, Loaded, Store, Sweep, TakeOver};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::model::{
    AllNews, Answer, Command, Commanded, DeadLetter, End, Event, Item, Post, RunId, RunQuery,
    RunRecord, RunSummary, Undelivered, WriterId,
};
pub(crate) use tables::Tables;

/// Keeps runs in memory.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore(Mutex<Tables>);

impl MemoryStore {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, items: &[Item]) -> Result<Vec<Answer>, Error> {
        Ok(self.tables().commit(items))
    }

    async fn reserve(&self, counter: Counter, count: u32) -> Result<i64, Error> {
        Ok(self.tables().reserve(counter, count))
    }

    async fn take_over(&self, over: TakeOver) -> Result<(), Error> {
        self.tables().take_over(&over);
        Ok(())
    }

    async fn claim(
        &self,
        writer: WriterId,
        now: Timestamp,
        limit: u32,
        claims: RangeInclusive<u32>,
    ) -> Result<Vec<RunId>, Error> {
        Ok(self.tables().claim(writer, now, limit, &claims))
    }

    async fn suspected(&self, runs: &[RunId]) -> Result<Vec<RunId>, Error> {
        Ok(self.tables().suspected(runs))
    }

    async fn vindicate(&self, runs: &[RunId]) -> Result<(), Error> {
        self.tables().vindicate(runs);
        Ok(())
    }

    async fn owned(&self, writer: WriterId) -> Result<Vec<RunId>, Error> {
        Ok(self.tables().owned(writer))
    }

    async fn load(&self, runs: &[RunId]) -> Result<Vec<(RunId, Loaded)>, Error> {
        let tables = self.tables();
        Ok(runs.iter().filter_map(|run| Some((*run, Ok(tables.load(*run)?)))).collect())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        Ok(self.tables().next_due())
    }

    async fn release(&self, writer: WriterId, now: Timestamp) -> Result<(), Error> {
        self.tables().release(writer, now);
        Ok(())
    }

    async fn find(&self, id: &str) -> Result<Option<RunRecord>, Error> {
        Ok(self.tables().find(id))
    }

    async fn find_first(&self, id: &str) -> Result<Option<RunRecord>, Error> {
        Ok(self.tables().find_first(id))
    }

    async fn history(&self, run: RunId) -> Result<Vec<Event>, Error> {
        Ok(self.tables().history(run))
    }

    async fn ends(&self, runs: &[RunId]) -> Result<Vec<(RunId, End)>, Error> {
        let tables = self.tables();
        Ok(runs.iter().filter_map(|run| Some((*run, tables.record(*run)?.end?))).collect())
    }

    async fn command(&self, run: RunId, command: Command) -> Result<Commanded, Error> {
        Ok(self.tables().command(run, command))
    }

    async fn open_commands(&self, writer: WriterId) -> Result<Vec<(RunId, Command)>, Error> {
        Ok(self.tables().open_commands(writer))
    }

    async fn terminated(&self, run: RunId) -> Result<(), Error> {
        self.tables().terminated(run);
        Ok(())
    }

    async fn list(&self, query: RunQuery) -> Result<Vec<RunSummary>, Error> {
        Ok(self.tables().list(&query))
    }

    async fn dead_letters(&self, after: Option<i64>, limit: u32) -> Result<Vec<DeadLetter>, Error> {
        Ok(self.tables().dead_letters(after, limit))
    }

    async fn old(&self, after: RunId, before: Timestamp) -> Result<Sweep, Error> {
        Ok(self.tables().old(after, before))
    }

    async fn delete(&self, runs: &[RunId]) -> Result<u32, Error> {
        Ok(self.tables().delete(runs))
    }

    async fn post(&self, posts: Vec<Post>) -> Result<Vec<Result<(), Undelivered>>, Error> {
        let mut tables = self.tables();
        Ok(posts.iter().map(|post| tables.post(post)).collect())
    }

    async fn shown(&self, id: &str) -> Result<Option<crate::model::Shown>, Error> {
        Ok(self.tables().shown(id))
    }

    async fn reply(&self, message: &str) -> Result<Option<Arc<str>>, Error> {
        Ok(self.tables().reply(message))
    }

    async fn reply_read(&self, message: &str) -> Result<(), Error> {
        self.tables().reply_read(message);
        Ok(())
    }

    async fn news(&self, writer: WriterId) -> Result<AllNews, Error> {
        Ok(self.tables().news(writer))
    }

    async fn backup(&self, _to: &Path) -> Result<(), Error> {
        let message = "a store in memory has no backup: nothing of it is meant to last";
        Err(Error::new(ErrorKind::Configuration, message))
    }

    async fn changed(&self) -> Result<bool, Error> {
        // No other process sees this memory.
        Ok(false)
    }

    async fn close(&self) {}
}
