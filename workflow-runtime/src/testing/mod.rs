//! Crash points, for tests of what is built on this crate. Feature `testing`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::model::{Answer, Event, Item, RunId, RunRecord, WriterId};
use crate::store::{Counter, Loaded, Store};

/// Where a process ends, as `kill -9` would end it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CrashPoint {
    /// When the commit of that number, from 1, is about to be made: what it
    /// holds is not durable.
    BeforeCommit(u64),
    /// When the commit of that number, from 1, is made and nobody knows yet.
    AfterCommit(u64),
}

/// A store that ends the process at a point.
struct CrashingStore {
    inner: Arc<dyn Store>,
    point: CrashPoint,
    commits: AtomicU64,
}

pub(crate) fn crashing(inner: Arc<dyn Store>, point: CrashPoint) -> Arc<dyn Store> {
    Arc::new(CrashingStore { inner, point, commits: AtomicU64::new(0) })
}

#[async_trait]
impl Store for CrashingStore {
    async fn commit(&self, items: &[Item]) -> Result<Vec<Answer>, Error> {
        let number = self.commits.fetch_add(1, Ordering::AcqRel) + 1;
        if self.point == CrashPoint::BeforeCommit(number) {
            std::process::abort();
        }
        let answers = self.inner.commit(items).await;
        if self.point == CrashPoint::AfterCommit(number) {
            std::process::abort();
        }
        answers
    }

    async fn reserve(&self, counter: Counter, count: u32) -> Result<i64, Error> {
        self.inner.reserve(counter, count).await
    }

    async fn take_over(&self, writer: WriterId, build: &str, now: Timestamp) -> Result<(), Error> {
        self.inner.take_over(writer, build, now).await
    }

    async fn claim(
        &self,
        writer: WriterId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<RunId>, Error> {
        self.inner.claim(writer, now, limit).await
    }

    async fn owned(&self, writer: WriterId) -> Result<Vec<RunId>, Error> {
        self.inner.owned(writer).await
    }

    async fn load(&self, runs: &[RunId]) -> Result<Vec<(RunId, Loaded)>, Error> {
        self.inner.load(runs).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        self.inner.next_due().await
    }

    async fn release(&self, writer: WriterId, now: Timestamp) -> Result<(), Error> {
        self.inner.release(writer, now).await
    }

    async fn find(&self, id: &str) -> Result<Option<RunRecord>, Error> {
        self.inner.find(id).await
    }

    async fn history(&self, run: RunId) -> Result<Vec<Event>, Error> {
        self.inner.history(run).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
