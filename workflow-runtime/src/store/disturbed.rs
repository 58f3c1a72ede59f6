//! A store that tests disturb: between the engine and a real one.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::decorate::decorate;
use super::{Counter, Loaded, Store, Sweep, TakeOver};
use crate::clock::{Timestamp, pause};
use crate::error::Error;
use crate::model::{
    AllNews, Answer, Command, Commanded, DeadLetter, End, Event, Item, Post, RunId, RunQuery,
    RunRecord, RunSummary, Undelivered, WriterId,
};

/// What happens around the calls of a store.
pub(crate) trait Disturbance: Send + Sync + 'static {
    /// Before the commit of that number, from 1. An error: it is never made.
    fn before_commit(&self, number: u64) -> Result<(), Error>;

    /// After it. An error: its answers are lost.
    fn after_commit(&self, number: u64) -> Result<(), Error>;

    /// After a claim. An error: its answer is lost.
    fn claimed(&self, runs: Vec<RunId>) -> Result<Vec<RunId>, Error> {
        Ok(runs)
    }

    /// Whether what was loaded of so many runs is not given yet.
    fn holds_loaded(&self, _runs: usize) -> bool {
        false
    }

    /// Whether so many runs are not loaded yet.
    fn holds_load(&self, _runs: usize) -> bool {
        false
    }
}

/// The store with its disturbance.
pub(crate) struct Disturbed<D> {
    inner: Arc<dyn Store>,
    by: D,
    commits: AtomicU64,
}

impl<D: Disturbance> Disturbed<D> {
    pub(crate) fn around(inner: Arc<dyn Store>, by: D) -> Arc<dyn Store> {
        Arc::new(Self { inner, by, commits: AtomicU64::new(0) })
    }
}

decorate! {
    impl [D: Disturbance] Store for Disturbed<D> {
        async fn commit(&self, items: &[Item]) -> Result<Vec<Answer>, Error> {
            let number = self.commits.fetch_add(1, Ordering::AcqRel) + 1;
            self.by.before_commit(number)?;
            let answers = self.inner.commit(items).await;
            self.by.after_commit(number)?;
            answers
        }

        async fn claim(
            &self,
            writer: WriterId,
            now: Timestamp,
            limit: u32,
            claims: RangeInclusive<u32>,
        ) -> Result<Vec<RunId>, Error> {
            let claimed = self.inner.claim(writer, now, limit, claims).await?;
            self.by.claimed(claimed)
        }

        async fn load(&self, runs: &[RunId]) -> Result<Vec<(RunId, Loaded)>, Error> {
            while self.by.holds_load(runs.len()) {
                pause(Duration::from_millis(1)).await;
            }
            let loaded = self.inner.load(runs).await;
            while self.by.holds_loaded(runs.len()) {
                pause(Duration::from_millis(1)).await;
            }
            loaded
        }

        async fn find(&self, id: &str) -> Result<Option<RunRecord>, Error> {
            self.inner.find(id).await
        }

        async fn find_first(&self, id: &str) -> Result<Option<RunRecord>, Error> {
            self.inner.find_first(id).await
        }

        async fn history(&self, run: RunId) -> Result<Vec<Event>, Error> {
            self.inner.history(run).await
        }

        async fn post(&self, posts: Vec<Post>) -> Result<Vec<Result<(), Undelivered>>, Error> {
            self.inner.post(posts).await
        }

        async fn shown(&self, id: &str) -> Result<Option<crate::model::Shown>, Error> {
            self.inner.shown(id).await
        }

        async fn reply(&self, message: &str) -> Result<Option<Arc<str>>, Error> {
            self.inner.reply(message).await
        }

        async fn dead_letters(
            &self,
            after: Option<i64>,
            limit: u32,
        ) -> Result<Vec<DeadLetter>, Error> {
            self.inner.dead_letters(after, limit).await
        }

        async fn news(&self, writer: WriterId) -> Result<AllNews, Error> {
            self.inner.news(writer).await
        }

        async fn ends(&self, runs: &[RunId]) -> Result<Vec<(RunId, End)>, Error> {
            self.inner.ends(runs).await
        }
    }
}
