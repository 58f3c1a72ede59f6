//! A store of which is noted how it fares.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::decorate::decorate;
use super::{Counter, Loaded, Pulse, Store, Sweep, TakeOver};
use crate::clock::{Moment, Timestamp};
use crate::error::Error;
use crate::model::{
    AllNews, Answer, Command, Commanded, DeadLetter, End, Event, Item, Post, RunId, RunQuery,
    RunRecord, RunSummary, Undelivered, WriterId,
};

/// The store with its pulse.
pub(crate) struct WatchedStore {
    inner: Arc<dyn Store>,
    pulse: Arc<Pulse>,
}

impl WatchedStore {
    pub(crate) fn around(inner: Arc<dyn Store>, pulse: Arc<Pulse>) -> Arc<dyn Store> {
        Arc::new(Self { inner, pulse })
    }

    async fn noted<T>(&self, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let at = Moment::now();
        let answer = asked.await;
        self.pulse.note(at, &answer);
        answer
    }
}

decorate! {
    impl Store for WatchedStore {
        async fn commit(&self, items: &[Item]) -> Result<Vec<Answer>, Error> {
            // A run has one item on its way at a time.
            let (of, at) = (items.first().map(|item| item.run), Moment::now());
            self.pulse.sends(of, at);
            let answers = self.inner.commit(items).await;
            self.pulse.sent(of, at, &answers);
            answers
        }

        async fn claim(
            &self,
            writer: WriterId,
            now: Timestamp,
            limit: u32,
            claims: RangeInclusive<u32>,
        ) -> Result<Vec<RunId>, Error> {
            self.noted(self.inner.claim(writer, now, limit, claims)).await
        }

        async fn load(&self, runs: &[RunId]) -> Result<Vec<(RunId, Loaded)>, Error> {
            self.noted(self.inner.load(runs)).await
        }

        async fn find(&self, id: &str) -> Result<Option<RunRecord>, Error> {
            self.noted(self.inner.find(id)).await
        }

        async fn find_first(&self, id: &str) -> Result<Option<RunRecord>, Error> {
            self.noted(self.inner.find_first(id)).await
        }

        async fn history(&self, run: RunId) -> Result<Vec<Event>, Error> {
            self.noted(self.inner.history(run)).await
        }

        async fn post(&self, posts: Vec<Post>) -> Result<Vec<Result<(), Undelivered>>, Error> {
            self.noted(self.inner.post(posts)).await
        }

        async fn news(&self, writer: WriterId) -> Result<AllNews, Error> {
            self.noted(self.inner.news(writer)).await
        }

        async fn shown(&self, id: &str) -> Result<Option<crate::model::Shown>, Error> {
            self.noted(self.inner.shown(id)).await
        }

        async fn reply(&self, message: &str) -> Result<Option<Arc<str>>, Error> {
            self.noted(self.inner.reply(message)).await
        }

        async fn dead_letters(
            &self,
            after: Option<i64>,
            limit: u32,
        ) -> Result<Vec<DeadLetter>, Error> {
            self.noted(self.inner.dead_letters(after, limit)).await
        }

        async fn ends(&self, runs: &[RunId]) -> Result<Vec<(RunId, End)>, Error> {
            self.noted(self.inner.ends(runs)).await
        }
    }
}
