//! Runs the body of a test: once, at every crash point, in many orders.

use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::drive::{Driver, settings};
use super::gate::Gate;
use super::golden;
use super::plan::{Fault, Plan};
use super::report::{fail, minimise, report};
use super::sim::Sim;
use super::verify;
use super::world::{Facts, Passed, Place, SimClock, World, fits};
use crate::client::{Client, Inner};
use crate::error::Error;
use crate::model::StoredRun;
use crate::panics;
use crate::store::{Endings, MemoryStore, Numbers, Starts, Store};

/// How a test is run. Written by [`test`](macro@crate::test).
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Its path in its crate: `orders::charges_once`.
    pub name: &'static str,
    /// The folder of its package.
    pub folder: &'static str,
    /// One run for each crash point.
    pub crash: bool,
    /// A crash may change results: the workflow races against time.
    pub may_differ: bool,
    /// In which orders.
    pub schedules: Schedules,
    /// What may befall commits.
    pub faults: &'static [Fault],
    /// Of random schedules.
    pub seed: u64,
    /// The name of the history files that are written.
    pub record: Option<&'static str>,
    /// On a temporary SQLite file.
    pub sqlite: bool,
}

/// In which orders of events a test is run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Schedules {
    /// In the plain one.
    One,
    /// In so many, chosen by chance from the seed.
    Random(u32),
    /// In all, but in no more than so many.
    Exhaustive(u32),
}

/// What the body of a test returns.
pub trait Verdict {
    /// Why it failed, if it did.
    fn failure(self) -> Option<String>;
}

impl Verdict for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<T: Verdict, E: Debug> Verdict for Result<T, E> {
    fn failure(self) -> Option<String> {
        match self {
            Ok(value) => value.failure(),
            Err(error) => Some(format!("it returned Err({error:?})")),
        }
    }
}

/// One run of a test.
pub(super) struct Ran {
    pub(super) failure: Option<String>,
    pub(super) plan: Plan,
    pub(super) choices: Vec<(u32, u32)>,
    pub(super) passed: Vec<Passed>,
    pub(super) timeline: String,
    pub(super) stored: Vec<StoredRun>,
}

/// What is chosen where a plan says nothing.
#[derive(Clone, Default)]
pub(super) struct Chance {
    pub(super) stream: Option<ChaCha8Rng>,
    pub(super) faults: Vec<Fault>,
}

/// The environment variable that repeats one schedule.
const SCHEDULE: &str = "WORKFLOW_SCHEDULE";

/// The environment variable that says how many random schedules are run.
const SCHEDULES: &str = "WORKFLOW_SCHEDULES";

/// Runs a test as its attribute says.
///
/// # Panics
///
/// The test failed: with its timeline, and the line that repeats it.
pub fn check<B, F>(config: &Config, body: B)
where
    B: Fn(Sim) -> F,
    F: Future<Output: Verdict> + 'static,
{
    panics::install();
    let run = |plan: &Plan, chance: &Chance| {
        panics::silence(true);
        let ran = run_once(config, plan, chance, &body, Verdict::failure);
        panics::silence(false);
        ran
    };
    let explorer = Explorer { config, run: &run };
    match std::env::var(SCHEDULE) {
        Ok(text) => explorer.repeat(&text),
        Err(_) => explorer.explore(),
    }
}

struct Explorer<'a> {
    config: &'a Config,
    run: &'a dyn Fn(&Plan, &Chance) -> Ran,
}

impl Explorer<'_> {
    fn repeat(&self, text: &str) {
        let plan = text.parse().unwrap_or_else(|error: String| fail(&error));
        let ran = (self.run)(&plan, &Chance::default());
        say(&ran.timeline);
        if ran.failure.is_some() {
            fail(&report(self.config, &ran, "the schedule that was given"));
        }
    }

    fn explore(&self) {
        let plain = self.one(&Plan::default(), &Chance::default(), "the plain schedule", None);
        if let Some(name) = self.config.record {
            golden::write(self.config, name, &plain.stored);
        }
        let mut runs = 1;
        if self.config.crash {
            runs += self.crashes(&plain);
        }
        runs += match self.config.schedules {
            Schedules::One => 0,
            Schedules::Random(count) => self.random(count),
            Schedules::Exhaustive(most) => self.exhaustive(most),
        };
        if runs > 1 {
            say(&format!("{}: {runs} runs", self.config.name));
        }
    }

    /// One run; a failure of it is minimised and ends the test.
    fn one(&self, plan: &Plan, chance: &Chance, what: &str, like: Option<&Ran>) -> Ran {
        let wrong = |ran: &mut Ran| {
            if let Some(like) = like.filter(|_| ran.failure.is_none()) {
                ran.failure = self.differs(like, ran);
            }
            ran.failure.is_some()
        };
        let mut ran = (self.run)(plan, chance);
        if wrong(&mut ran) {
            let before = ran.plan.size();
            let again = |plan: &Plan| {
                let mut ran = (self.run)(plan, &Chance::default());
                wrong(&mut ran).then_some(ran)
            };
            let least = minimise(ran, again);
            let after = least.plan.size();
            let from = if after < before {
                format!(", minimised from {before} to {after} decisions")
            } else {
                String::new()
            };
            fail(&report(self.config, &least, &format!("{what}{from}")));
        }
        ran
    }

    /// A crash changes no result.
    fn differs(&self, plain: &Ran, crashed: &Ran) -> Option<String> {
        if self.config.may_differ {
            return None;
        }
        for run in &plain.stored {
            let Some(end) = &run.record.end else { continue };
            let other = crashed.stored.iter().find(|other| other.record.id == run.record.id);
            // Started again, it draws other chance.
            if other.is_some_and(|other| other.record.run != run.record.run) {
                continue;
            }
            let other = other.and_then(|other| other.record.end.as_ref());
            let same =
                other.is_some_and(|other| other.how == end.how && other.output == end.output);
            if !same {
                let is = other.map_or("nothing", |other| &other.output);
                return Some(format!(
                    "a crash changes the result of run `{}`: {} without it, {is} with it",
                    run.record.id, end.output
                ));
            }
        }
        None
    }

    /// One run for each point of the plain one, and for each event that a
    /// recovery replays.
    fn crashes(&self, plain: &Ran) -> u32 {
        let (mut runs, mut longest) = (0, None);
        for (at, passed) in (0..).zip(&plain.passed) {
            if passed.life > 0 || !fits(Fault::Crash, passed.place) {
                continue;
            }
            let plan = Plan { faults: [(at, Fault::Crash)].into(), ..Plan::default() };
            let ran = self.one(&plan, &Chance::default(), "a crash point", Some(plain));
            runs += 1;
            let replays = (0..).zip(&ran.passed).filter_map(|(n, passed)| match passed.place {
                Place::Replay(events) => Some((events, n, at)),
                Place::BeforeAttempt
                | Place::BeforeEffect
                | Place::AfterEffect
                | Place::BeforeCommit
                | Place::AfterCommit => None,
            });
            longest = longest.max(replays.max());
        }
        let Some((events, replay, crash)) = longest else { return runs };
        for after in 0..=events {
            let faults = [(crash, Fault::Crash), (replay, Fault::CrashInReplay(after))].into();
            let plan = Plan { faults, ..Plan::default() };
            self.one(&plan, &Chance::default(), "a crash in a replay", Some(plain));
            runs += 1;
        }
        runs
    }

    fn random(&self, count: u32) -> u32 {
        let wrong = |text| fail(&format!("{SCHEDULES}={text}: expected a number of schedules"));
        let count = match std::env::var(SCHEDULES) {
            Ok(text) => text.parse().unwrap_or_else(|_| wrong(&text)),
            Err(_) => count,
        };
        let mut faults = self.config.faults.to_vec();
        if self.config.crash {
            faults.push(Fault::Crash);
        }
        for n in 0..count {
            let mut stream = ChaCha8Rng::seed_from_u64(self.config.seed);
            stream.set_stream(u64::from(n));
            let chance = Chance { stream: Some(stream), faults: faults.clone() };
            let what = format!("schedule {} of {count}, seed {}", n + 1, self.config.seed);
            self.one(&Plan::default(), &chance, &what, None);
        }
        count
    }

    /// Depth first: the last choice that has another way takes it.
    fn exhaustive(&self, most: u32) -> u32 {
        let mut runs = 0;
        let mut plan = Plan::default();
        while runs < most {
            let ran = self.one(&plan, &Chance::default(), &format!("schedule {}", runs + 1), None);
            runs += 1;
            let next = (0..).zip(&ran.choices).filter(|(_, (chosen, count))| chosen + 1 < *count);
            let Some((at, (chosen, _))) = next.last() else {
                say(&format!("{}: all {runs} schedules", self.config.name));
                return runs;
            };
            let before = (0..at).zip(&ran.choices).map(|(at, (chosen, _))| (at, *chosen));
            plan.choices = before.filter(|(_, chosen)| *chosen > 0).collect();
            plan.choices.insert(at, chosen + 1);
        }
        say(&format!("{}: cut after {runs} schedules, there are more", self.config.name));
        runs
    }
}

#[expect(clippy::print_stderr, reason = "a test says what it did; shown with --nocapture")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// Runs `body` once, in a runtime of its own. `judge` says why its output is a
/// failure.
pub(super) fn run_once<F, T>(
    config: &Config,
    plan: &Plan,
    chance: &Chance,
    body: impl FnOnce(Sim) -> F,
    judge: impl FnOnce(T) -> Option<String> + 'static,
) -> Ran
where
    F: Future<Output = T> + 'static,
    T: 'static,
{
    let tokio =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let tokio = tokio.unwrap_or_else(|error| fail(&format!("no tokio runtime: {error}")));
    tokio.block_on(tokio::task::unconstrained(async {
        let inside = Inside::new(config, plan, chance).await;
        let inside = inside.unwrap_or_else(|error| fail(&format!("the store: {error}")));
        inside.run(body, judge).await
    }))
}

/// One run of a test from the inside.
struct Inside {
    world: Arc<World>,
    store: Arc<dyn Store>,
    endings: Arc<Endings>,
    /// Removed when it is dropped.
    _file: File,
}

impl Inside {
    async fn new(config: &Config, plan: &Plan, chance: &Chance) -> Result<Self, Error> {
        let facts = Facts {
            plan: plan.clone(),
            chance: chance.stream.clone(),
            faults: chance.faults.clone(),
            explores: config.schedules != Schedules::One || plan.size() > 0,
            ..Facts::default()
        };
        let world = World::new(SimClock::new(), facts);
        let (inner, file) = open(config).await?;
        let store: Arc<dyn Store> = Arc::new(Gate { inner, world: Arc::clone(&world) });
        Ok(Self { world, store, endings: Arc::default(), _file: file })
    }

    fn client(&self) -> Client {
        let inner = Inner {
            store: Arc::clone(&self.store),
            pulse: Arc::default(),
            endings: Arc::clone(&self.endings),
            starts: Arc::clone(&self.world) as Arc<dyn Starts>,
            numbers: Numbers::new(Arc::clone(&self.store)),
            limits: settings("").limits,
            max_mailbox: settings("").max_mailbox,
            clock: self.world.clock(),
            without_worker: false,
            exclusive: true,
            chance: Mutex::new(ChaCha8Rng::seed_from_u64(0)),
        };
        Client { inner: Arc::new(inner) }
    }

    async fn run<F, T>(
        self,
        body: impl FnOnce(Sim) -> F,
        judge: impl FnOnce(T) -> Option<String> + 'static,
    ) -> Ran
    where
        F: Future<Output = T> + 'static,
        T: 'static,
    {
        #[cfg(feature = "sanitize")]
        let log = workflow_sanitize::Log::new();
        #[cfg(feature = "sanitize")]
        let _here = log.here();
        let sim = Sim { world: Arc::clone(&self.world), client: self.client() };
        let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let (store, endings) = (Arc::clone(&self.store), Arc::clone(&self.endings));
        let mut driver = Driver::new(Arc::clone(&self.world), store, endings);
        let failure = Rc::new(RefCell::new(None));
        let (told, body) = (Rc::clone(&failure), body(sim));
        let ended = driver
            .run(async move {
                let body = Caught(Some(Box::pin(body)));
                *told.borrow_mut() = match body.await {
                    Ok(returned) => judge(returned),
                    Err(panic) => Some(panic.to_string()),
                };
            })
            .await;
        drop(driver);
        if !ended {
            self.world.violation(
                "the test waits for something that never happens: no run, step or timer has \
                 anything left to do",
            );
        }
        self.left_over(before).await;
        let stored = verify::stored(&self.world, &*self.store).await;
        verify::check(&self.world, &stored, settings("").limits);
        #[cfg(feature = "sanitize")]
        super::sanitize::check(&self.world, &log, &stored);
        self.world.state().root = None;
        self.store.close().await;
        let said = failure.borrow_mut().take();
        let violations = std::mem::take(&mut self.world.state().violations);
        let all: Vec<String> = said.into_iter().chain(violations).collect();
        let (plan, timeline) = (self.world.done(), self.world.timeline());
        let failure = (!all.is_empty()).then(|| all.join("\n  "));
        let mut state = self.world.state();
        let (choices, passed) =
            (std::mem::take(&mut state.choices), std::mem::take(&mut state.passed));
        drop(state);
        Ran { failure, plan, choices, passed, timeline, stored }
    }

    /// Tasks that outlive the test would act in the next one.
    async fn left_over(&self, before: usize) {
        let metrics = tokio::runtime::Handle::current().metrics();
        for _ in 0..10 {
            if metrics.num_alive_tasks() <= before {
                return;
            }
            tokio::task::yield_now().await;
        }
        let left = metrics.num_alive_tasks() - before;
        self.world.violation(format!(
            "{left} tasks that the test or its steps spawned still run: await or abort them"
        ));
    }
}

/// Nothing is done with it but to drop it.
type File = Option<Box<dyn std::any::Any>>;

async fn open(config: &Config) -> Result<(Arc<dyn Store>, File), Error> {
    if !config.sqlite {
        return Ok((Arc::new(MemoryStore::default()), None));
    }
    #[cfg(feature = "sqlite")]
    {
        let file = super::file::TempFile::new();
        let options = crate::store::SqliteOptions {
            path: file.path().to_owned(),
            full: false,
            owner: true,
            read_only: false,
        };
        let store = crate::store::SqliteStore::open(options).await?;
        Ok((Arc::new(store), Some(Box::new(file))))
    }
    #[cfg(not(feature = "sqlite"))]
    {
        let message = "`store = sqlite` needs the feature `sqlite` of workflow-runtime";
        Err(Error::new(crate::error::ErrorKind::Configuration, message))
    }
}

/// A panic of a test's body is a value.
struct Caught<F>(Option<std::pin::Pin<Box<F>>>);

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, panics::Panic>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        use std::task::Poll;
        let Some(body) = self.0.as_mut() else { return Poll::Pending };
        match panics::catch(|| body.as_mut().poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => {
                let unwound = self.0.take();
                let _second = panics::catch(|| drop(unwound));
                Poll::Ready(Err(panic))
            }
        }
    }
}
