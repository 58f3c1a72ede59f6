//! A store whose values pass a codec on their way in and out.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::decorate::decorate;
use super::{Counter, Damage, Loaded, Store, Sweep, TakeOver};
use crate::clock::Timestamp;
use crate::codec::{Codec, open, seal};
use crate::error::{Error, ErrorKind};
use crate::model::{
    AllNews, Answer, Blocked, BlockedKind, Command, Commanded, DeadLetter, End, Event, Item, Post,
    RunId, RunQuery, RunRecord, RunSummary, StoredRun, Undelivered, WriterId,
};

/// The store with its codec.
pub(crate) struct SealedStore {
    inner: Arc<dyn Store>,
    codec: Arc<dyn Codec>,
}

type Text = Arc<str>;

impl SealedStore {
    pub(crate) fn around(inner: Arc<dyn Store>, codec: Arc<dyn Codec>) -> Arc<dyn Store> {
        Arc::new(Self { inner, codec })
    }

    fn seal(&self, text: &mut Text) -> Result<(), String> {
        *text = seal(&*self.codec, text)?.into();
        Ok(())
    }

    fn seal_some(&self, text: &mut Option<Text>) -> Result<(), String> {
        text.as_mut().map_or(Ok(()), |text| self.seal(text))
    }

    fn open(&self, text: &mut Text) -> Result<(), String> {
        if let Some(plain) = open(&*self.codec, text)? {
            *text = plain.into();
        }
        Ok(())
    }

    fn open_some(&self, text: &mut Option<Text>) -> Result<(), String> {
        text.as_mut().map_or(Ok(()), |text| self.open(text))
    }

    fn sealed(&self, item: &Item) -> Result<Item, String> {
        let mut item = item.clone();
        for start in item.start.iter_mut().chain(&mut item.successor) {
            self.seal(&mut start.args)?;
            self.seal_some(&mut start.decided)?;
        }
        for traffic in item.traffic.iter_mut().chain(&mut item.last_traffic) {
            self.seal_some(&mut traffic.state)?;
            traffic.replies.iter_mut().try_for_each(|(_, body)| self.seal(body))?;
            traffic.children.iter_mut().try_for_each(|(_, start)| self.seal(&mut start.args))?;
            traffic.posts.iter_mut().try_for_each(|(_, post)| self.seal(&mut post.body))?;
            traffic.not_taken.iter_mut().try_for_each(|(_, body)| self.seal(body))?;
        }
        for event in &mut item.events {
            self.seal_some(&mut event.payload)?;
            self.seal_some(&mut event.decided)?;
        }
        for record in &mut item.attempts {
            self.seal(&mut record.error)?;
            self.seal_some(&mut record.detail)?;
        }
        if let Some(end) = &mut item.end {
            self.seal(&mut end.output)?;
        }
        if let Some(block) = &mut item.block
            && let Err(reason) = self.seal(&mut block.report)
        {
            // A run that cannot even say why would be tried again and again;
            // what the report quotes of it is not stored as it is.
            let message = format!("why it was set aside cannot be stored: {reason}");
            let kind = BlockedKind::Unstorable;
            let report = Blocked::new(kind, message, &block.build, block.at);
            block.report = report.to_json().into();
        }
        Ok(item)
    }

    fn opened_event(&self, mut event: Event) -> Result<Event, String> {
        self.open_some(&mut event.payload)?;
        self.open_some(&mut event.decided)?;
        Ok(event)
    }

    fn opened_record(&self, mut record: RunRecord) -> Result<RunRecord, String> {
        self.open(&mut record.args)?;
        self.open_some(&mut record.decided)?;
        if let Some(end) = &mut record.end {
            self.open(&mut end.output)?;
        }
        if let Some(open) = &mut record.open {
            self.open_some(&mut open.blocked)?;
        }
        Ok(record)
    }

    fn opened(&self, stored: StoredRun) -> Result<StoredRun, String> {
        let StoredRun { record, history, mut attempts, cancels, mut mail } = stored;
        mail.iter_mut().try_for_each(|mail| self.open(&mut mail.body))?;
        let history = history.into_iter().map(|event| self.opened_event(event));
        for record in &mut attempts {
            self.open(&mut record.error)?;
            self.open_some(&mut record.detail)?;
        }
        let history = history.collect::<Result<_, _>>()?;
        Ok(StoredRun { record: self.opened_record(record)?, history, attempts, cancels, mail })
    }
}

fn corrupt(reason: String) -> Error {
    Error::new(ErrorKind::Corrupt, reason)
}

decorate! {
    impl Store for SealedStore {
        async fn commit(&self, items: &[Item]) -> Result<Vec<Answer>, Error> {
            let sealed: Vec<_> = items.iter().map(|item| self.sealed(item)).collect();
            let good: Vec<Item> = sealed.iter().filter_map(|item| item.clone().ok()).collect();
            let mut answers = self.inner.commit(&good).await?.into_iter();
            let all = sealed.into_iter().filter_map(|item| match item {
                Ok(_) => answers.next(),
                Err(reason) => Some(Answer::Refused(reason)),
            });
            Ok(all.collect())
        }

        async fn claim(
            &self,
            writer: WriterId,
            now: Timestamp,
            limit: u32,
            claims: RangeInclusive<u32>,
        ) -> Result<Vec<RunId>, Error> {
            self.inner.claim(writer, now, limit, claims).await
        }

        async fn load(&self, runs: &[RunId]) -> Result<Vec<(RunId, Loaded)>, Error> {
            let loaded = self.inner.load(runs).await?.into_iter();
            let opened = loaded.map(|(run, loaded)| {
                let opened = loaded.and_then(|stored| {
                    let workflow = stored.record.workflow.to_string();
                    let id = stored.record.id.to_string();
                    self.opened(stored).map_err(|reason| Damage { workflow, id, reason })
                });
                (run, opened)
            });
            Ok(opened.collect())
        }

        async fn find(&self, id: &str) -> Result<Option<RunRecord>, Error> {
            let found = self.inner.find(id).await?;
            found.map(|record| self.opened_record(record).map_err(corrupt)).transpose()
        }

        async fn find_first(&self, id: &str) -> Result<Option<RunRecord>, Error> {
            let found = self.inner.find_first(id).await?;
            found.map(|record| self.opened_record(record).map_err(corrupt)).transpose()
        }

        async fn history(&self, run: RunId) -> Result<Vec<Event>, Error> {
            let events = self.inner.history(run).await?.into_iter();
            events.map(|event| self.opened_event(event).map_err(corrupt)).collect()
        }

        async fn post(&self, mut posts: Vec<Post>) -> Result<Vec<Result<(), Undelivered>>, Error> {
            let sealed = posts.iter_mut().try_for_each(|post| self.seal(&mut post.body));
            sealed.map_err(|reason| Error::new(ErrorKind::Unstorable, reason))?;
            self.inner.post(posts).await
        }

        async fn news(&self, writer: WriterId) -> Result<AllNews, Error> {
            let mut all = self.inner.news(writer).await?;
            let mut mail = all.of_runs.iter_mut().flat_map(|news| &mut news.mail);
            mail.try_for_each(|mail| self.open(&mut mail.body)).map_err(corrupt)?;
            Ok(all)
        }

        async fn shown(&self, id: &str) -> Result<Option<crate::model::Shown>, Error> {
            let mut shown = self.inner.shown(id).await?;
            if let Some(shown) = &mut shown {
                self.open(&mut shown.body).map_err(corrupt)?;
            }
            Ok(shown)
        }

        async fn reply(&self, message: &str) -> Result<Option<Arc<str>>, Error> {
            let mut reply = self.inner.reply(message).await?;
            self.open_some(&mut reply).map_err(corrupt)?;
            Ok(reply)
        }

        async fn dead_letters(
            &self,
            after: Option<i64>,
            limit: u32,
        ) -> Result<Vec<DeadLetter>, Error> {
            let mut letters = self.inner.dead_letters(after, limit).await?;
            for body in letters.iter_mut().filter_map(|letter| letter.body.as_mut()) {
                if let Some(plain) = open(&*self.codec, body).map_err(corrupt)? {
                    *body = plain;
                }
            }
            Ok(letters)
        }

        async fn ends(&self, runs: &[RunId]) -> Result<Vec<(RunId, End)>, Error> {
            let mut ends = self.inner.ends(runs).await?;
            for (_, end) in &mut ends {
                self.open(&mut end.output).map_err(corrupt)?;
            }
            Ok(ends)
        }
    }
}
