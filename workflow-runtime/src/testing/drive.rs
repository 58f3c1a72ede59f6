//! Drives one run of a test: polls its parts, and when none can go on lets the
//! next event happen, or time pass.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use tokio::time::Sleep;

use super::plan::Fault;
use super::tasks::{TaskId, Tasks};
use super::world::{Place, World};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::model::{Limits, WriterId};
use crate::registry::Registry;
use crate::store::{Counter, Endings, NewRun, Of, Starts as _, Store, TakeOver, tell_ends};
use crate::worker::{Attempt, Ended, Lease, Parts, Settings, Stepwise};

/// Parts that a test spawned by itself have so many chances to go on before an
/// event happens.
const QUIET: u32 = 3;
/// When nothing has happened for so long, nothing ever will.
const FOREVER: Duration = Duration::from_secs(25 * 365 * 86_400);

pub(super) struct Driver {
    pub(super) world: Arc<World>,
    pub(super) store: Arc<dyn Store>,
    pub(super) endings: Arc<Endings>,
    pub(super) settings: Settings,
    pub(super) tasks: Tasks,
    pub(super) lives: Vec<Life>,
    opening: Option<Opening>,
    /// Until then; none: for ever.
    sleep: Option<(Option<Timestamp>, Pin<Box<Sleep>>)>,
    quiet: u32,
    /// Nothing happens before time has passed: it was chosen so.
    pub(super) waits: bool,
    pub(super) serial: u32,
    /// A turn does not return: there is nothing to go on with.
    broken: bool,
}

/// A new life on its way: who it is, once the store has answered.
struct Opening {
    task: TaskId,
    writer: Arc<Mutex<Option<Result<WriterId, Error>>>>,
}

/// One life of the process.
pub(super) struct Life {
    writer: WriterId,
    pub(super) worker: Stepwise,
    commits: TaskId,
    claims: TaskId,
    pub(super) held: Vec<Attempt>,
    pub(super) running: BTreeMap<u32, Running>,
    pub(super) ready: Vec<(Ended, Label)>,
    /// Another process has taken over.
    pub(super) zombie: bool,
}

/// An attempt that runs.
pub(super) struct Running {
    pub(super) task: TaskId,
    pub(super) label: Label,
    pub(super) cancel: Arc<crate::step::Cancel>,
    /// Nobody waits for it any more: it may clean up until then.
    pub(super) until: Option<Timestamp>,
}

/// What an attempt is, for people.
#[derive(Clone)]
pub(super) struct Label {
    pub(super) step: &'static str,
    pub(super) workflow_id: Arc<str>,
}

pub(super) fn settings(build: &str) -> Settings {
    Settings {
        threads: 1,
        park_after: Duration::from_secs(1),
        limits: Limits { payload: 1 << 20 },
        max_history: 50_000,
        strict_arguments: true,
        max_mailbox: 10_000,
        max_runs: 10_000,
        max_steps: 10_000,
        max_claims: 5,
        probation: Duration::from_secs(10),
        turn_limit: Duration::from_secs(10),
        keep_completed: None,
        build: build.into(),
        exclusive: true,
    }
}

impl Driver {
    pub(super) fn new(world: Arc<World>, store: Arc<dyn Store>, endings: Arc<Endings>) -> Self {
        Self {
            world,
            store,
            endings,
            settings: settings("test"),
            tasks: Tasks::default(),
            lives: Vec::new(),
            opening: None,
            sleep: None,
            quiet: 0,
            waits: false,
            serial: 0,
            broken: false,
        }
    }

    /// Drives until `body` is over. False: it never will be.
    pub(super) async fn run(&mut self, body: impl Future<Output = ()> + 'static) -> bool {
        let body = self.tasks.spawn(body);
        self.open();
        std::future::poll_fn(|cx| self.poll(cx, body)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>, body: TaskId) -> Poll<bool> {
        self.world.state().root = Some(cx.waker().clone());
        loop {
            if self.broken || self.tasks.is_over(body) {
                return Poll::Ready(true);
            }
            if self.change_lives() || self.tasks.poll(cx) {
                self.collect();
                // Something happened: for ever begins anew.
                (self.quiet, self.sleep) = (0, None);
                continue;
            }
            if self.rounds() {
                self.quiet = 0;
                continue;
            }
            if self.quiet < QUIET {
                self.quiet += 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.act() {
                self.quiet = 0;
                continue;
            }
            match self.wait(cx) {
                Poll::Ready(true) => self.waits = false,
                Poll::Ready(false) => return Poll::Ready(false),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Ends and begins lives, as was asked.
    fn change_lives(&mut self) -> bool {
        let (crash, second) = {
            let mut state = self.world.state();
            (std::mem::take(&mut state.crash), std::mem::take(&mut state.second))
        };
        if crash {
            self.crash();
        } else if second {
            for life in &mut self.lives {
                life.zombie = true;
                self.tasks.drop_one(life.claims);
            }
            {
                let mut state = self.world.state();
                (state.starts, state.two) = (None, true);
            }
            self.open();
        }
        crash || second || self.opened()
    }

    /// What is in memory is gone.
    pub(super) fn crash(&mut self) {
        {
            let mut state = self.world.state();
            state.starts = None;
            state.ended.clear();
            state.backlog.clear();
            state.life += 1;
            state.crash = false;
        }
        if let Some(opening) = self.opening.take() {
            self.tasks.drop_one(opening.task);
        }
        for life in std::mem::take(&mut self.lives) {
            for task in life.running.values().map(|running| running.task) {
                self.tasks.drop_one(task);
            }
            self.tasks.drop_one(life.claims);
            self.tasks.drop_one(life.commits);
        }
        self.waits = false;
        self.open();
    }

    /// A process that was taken over and has nothing left to do ends, and what
    /// it still held is free.
    pub(super) fn end_zombies(&mut self) {
        if self.world.state().committing > 0 {
            return;
        }
        let ended = |life: &mut Life| {
            let idle = life.held.is_empty() && life.running.is_empty() && life.ready.is_empty();
            life.zombie && idle
        };
        let ended: Vec<Life> = self.lives.extract_if(.., ended).collect();
        for life in ended {
            self.world.note("the process that was taken over ends");
            self.tasks.drop_one(life.commits);
            let (store, world) = (Arc::clone(&self.store), Arc::clone(&self.world));
            let (writer, now) = (life.writer, self.world.now());
            let endings = Arc::clone(&self.endings);
            self.tasks.spawn(async move {
                let ended = async {
                    store.release(writer, now).await?;
                    // It may have ended a run and never learnt it: whoever waits
                    // in its process looks into the store.
                    tell_ends(&*store, &endings).await
                };
                if let Err(error) = ended.await {
                    world.violation(format!("what a process held is not freed: {error}"));
                }
                world.nudge();
            });
        }
    }

    /// Another life begins, as soon as the store knows of it.
    fn open(&mut self) {
        let writer = Arc::new(Mutex::new(None));
        let (told, store, endings) =
            (Arc::clone(&writer), Arc::clone(&self.store), Arc::clone(&self.endings));
        let Settings { max_claims, probation: pause, build, .. } = self.settings.clone();
        let (now, build) = (self.world.now(), build.to_string());
        let task = self.tasks.spawn(async move {
            let opened = async {
                let writer = WriterId(store.reserve(Counter::Writers, 1).await?);
                store
                    .take_over(TakeOver { writer, of: Of::All, build, now, max_claims, pause })
                    .await?;
                tell_ends(&*store, &endings).await?;
                Ok(writer)
            };
            let opened = opened.await;
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        });
        self.opening = Some(Opening { task, writer });
    }

    fn opened(&mut self) -> bool {
        let Some(opening) = &self.opening else { return false };
        let answer = opening.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(answer) = answer else { return false };
        self.opening = None;
        let begun = answer.and_then(|writer| self.begin(writer));
        if let Err(error) = begun {
            self.world.violation(format!("the worker does not start: {error}"));
        }
        true
    }

    fn begin(&mut self, writer: WriterId) -> Result<(), Error> {
        let state = self.world.state().state.clone();
        let parts = Parts {
            store: Arc::clone(&self.store),
            clock: self.world.clock(),
            endings: Arc::clone(&self.endings),
            registry: Registry::new(&[])?,
            state: Arc::new(state),
            settings: self.settings.clone(),
            writer,
            lease: Arc::new(Lease::new(None)),
        };
        // Seeds of runs are the same in every run of a test.
        let chance = ChaCha8Rng::seed_from_u64(u64::try_from(writer.0).unwrap_or(0));
        let worker = Stepwise::start(parts, chance)?;
        let (commits, claims) =
            (self.tasks.spawn(worker.commits()), self.tasks.spawn(worker.claims()));
        let starts = worker.starts();
        let backlog: Vec<NewRun> = std::mem::take(&mut self.world.state().backlog);
        for new in backlog {
            starts.start(new)?;
        }
        self.world.state().starts = Some(starts);
        self.lives.push(Life {
            writer,
            worker,
            commits,
            claims,
            held: Vec::new(),
            running: BTreeMap::new(),
            ready: Vec::new(),
            zombie: false,
        });
        let life = self.world.state().life;
        self.world.note(if life == 0 { "the process begins" } else { "the next process begins" });
        Ok(())
    }

    /// Runs turns, where there are messages for them.
    fn rounds(&mut self) -> bool {
        for at in 0..self.lives.len() {
            let worker = &mut self.lives[at].worker;
            if !worker.has_messages() {
                continue;
            }
            let longest = worker.to_replay().and_then(|events| u32::try_from(events).ok());
            if let Some(events) = longest
                && let Some(Fault::CrashInReplay(after)) =
                    self.world.pass(Place::Replay(events), None, None)
            {
                let after = after.min(events);
                self.world.note(format!("CRASH after {after} events were replayed"));
                let replayed = worker.replay_up_to(after as usize);
                self.check(replayed);
                self.crash();
                return true;
            }
            self.round(at);
            return true;
        }
        false
    }

    pub(super) fn round(&mut self, at: usize) {
        let life = &mut self.lives[at];
        let done = life.worker.round();
        life.held.extend(life.worker.launched());
        self.check(done);
    }

    fn check(&mut self, done: Result<(), Error>) {
        if let Err(error) = done {
            self.broken = true;
            self.world.violation(error.to_string());
        }
    }

    /// Lets time pass until something is due. True: it is. False: nothing ever
    /// will be.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let now = self.world.now();
        let alarms = self.lives.iter().filter_map(|life| life.worker.alarm());
        let running = self.lives.iter().flat_map(|life| life.running.values());
        let due = alarms.chain(running.filter_map(|running| running.until)).min();
        if due.is_none() && std::mem::take(&mut self.waits) {
            // What was waited for is gone.
            return Poll::Ready(true);
        }
        let time = due.map_or(FOREVER, |due| due.since(now));
        let known = self.sleep.take().filter(|(until, _)| *until == due);
        let (_, mut sleep) = known.unwrap_or_else(|| (due, Box::pin(sleep(time))));
        if sleep.as_mut().poll(cx).is_pending() {
            self.sleep = Some((due, sleep));
            return Poll::Pending;
        }
        if due.is_some() {
            return Poll::Ready(true);
        }
        Poll::Ready(false)
    }
}

#[expect(clippy::disallowed_methods, reason = "it is virtual")]
fn sleep(time: Duration) -> Sleep {
    tokio::time::sleep(time)
}
