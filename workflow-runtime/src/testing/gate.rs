//! The store of a test, and what befalls its commits.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::plan::Fault;
use super::world::{Place, World};
use crate::clock::{Timestamp, pause};
use crate::error::{Error, ErrorKind};
use crate::model::{
    AllNews, Answer, Command, Commanded, DeadLetter, End, Event, EventKind, Item, Post, RunId,
    RunQuery, RunRecord, RunSummary, Undelivered, WriterId,
};
use crate::store::decorate::decorate;
use crate::store::{Counter, Loaded, Store, Sweep, TakeOver};

/// How long a slow commit takes.
const SLOW: Duration = Duration::from_secs(5);

pub(super) struct Gate {
    pub(super) inner: Arc<dyn Store>,
    pub(super) world: Arc<World>,
}

impl Gate {
    async fn before(&self, number: u64) -> Result<(), Error> {
        match self.world.pass(Place::BeforeCommit, None, Some(number)) {
            Some(Fault::Crash) => self.crash(&format!("before commit {number}")).await,
            Some(Fault::CommitError) => {
                self.world.note(format!("commit {number} FAILS: the store does not take it"));
                return Err(Error::new(ErrorKind::Unavailable, "a fault of the test"));
            }
            Some(Fault::SlowCommit) => {
                self.world.note(format!("commit {number} is SLOW"));
                pause(SLOW).await;
            }
            Some(Fault::Zombie) => {
                self.world.note(format!("ANOTHER PROCESS takes over before commit {number}"));
                self.world.state().second = true;
                pause(Duration::from_millis(1)).await;
            }
            _ => {}
        }
        Ok(())
    }

    async fn after(&self, number: u64) -> Result<(), Error> {
        match self.world.pass(Place::AfterCommit, None, Some(number)) {
            Some(Fault::Crash) => self.crash(&format!("after commit {number}")).await,
            Some(Fault::ReplyLost) => {
                self.world.note(format!("commit {number} is made, and its ANSWER IS LOST"));
                return Err(Error::new(ErrorKind::Unavailable, "a fault of the test"));
            }
            _ => {}
        }
        Ok(())
    }

    /// Goes no further: the life that waits for this ends.
    async fn crash<T>(&self, place: &str) -> T {
        self.world.note(format!("CRASH {place}"));
        self.world.state().crash = true;
        std::future::pending().await
    }

    fn note(&self, number: u64, items: &[Item], answers: &[Answer]) {
        for (item, answer) in items.iter().zip(answers) {
            if *answer != Answer::Committed && *answer != Answer::NotEnded {
                self.world.note(format!("commit {number} of {}: {answer:?}", item.run));
                continue;
            }
            let mut state = self.world.state();
            state.runs.insert(item.run);
            for event in &item.events {
                if let (EventKind::Step, Some(call)) = (event.kind, event.call) {
                    state.checkpoints.insert((item.run, call));
                }
            }
            drop(state);
            self.world.note(format!("commit {number}: {}", contents(item)));
        }
    }
}

/// A commit under way, also if it is dropped.
struct UnderWay<'a>(&'a World);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.state().committing -= 1;
    }
}

fn contents(item: &Item) -> String {
    let mut parts = Vec::new();
    if let Some(start) = &item.start {
        parts.push(format!("start of `{}`", start.id));
    }
    parts.extend(item.events.iter().map(|event| match event.kind {
        EventKind::Step => format!("result of {}", event.name),
        EventKind::Timer => format!("timer {}", event.name),
        EventKind::Signal => format!("signal {}", event.name),
        EventKind::Child => format!("end of child {}", event.name),
        EventKind::Sent => format!("sent {}", event.name),
        EventKind::Reply => format!("reply to {}", event.name),
        EventKind::Cancelled => "cancellation".to_owned(),
        EventKind::Refused => "refused".to_owned(),
        EventKind::Begun => "a turn that was put off".to_owned(),
    }));
    parts.extend(item.attempts.iter().map(|record| format!("attempts of {}", record.call)));
    if let Some(end) = &item.end {
        parts.push(format!("end, {:?}: {}", end.how, crate::text::cut(&end.output, 100)));
    }
    if item.park.is_some() {
        parts.push("the run leaves memory".to_owned());
    }
    if item.block.is_some() {
        parts.push("the run is BLOCKED".to_owned());
    }
    format!("run {}: {}", item.run, parts.join(", "))
}

decorate! {
    impl Store for Gate {
        async fn commit(&self, items: &[Item]) -> Result<Vec<Answer>, Error> {
            let number = {
                let mut state = self.world.state();
                state.commits += 1;
                state.committing += 1;
                state.commits
            };
            let _under_way = UnderWay(&self.world);
            self.before(number).await?;
            let answers = self.inner.commit(items).await?;
            self.note(number, items, &answers);
            self.after(number).await?;
            Ok(answers)
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
            self.inner.load(runs).await
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
