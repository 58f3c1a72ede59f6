//! [`Builder`]: how a runtime or a client is configured, and what it is made of.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Runtime;
use super::life::{Life, Making};
use super::location::Location;
use super::look::Look;
use crate::call::{Definer, Workflow};
use crate::chance;
use crate::client::{Client, Inner, Submitter};
use crate::clock::{Clock, StoreClock, SystemClock};
use crate::codec::Codec;
use crate::error::{Error, ErrorKind};
use crate::model::{Limits, WorkflowDefinition, WriterId};
use crate::registry::{Registry, check_state};
use crate::state::State;
use crate::store::{
    Counter, Endings, MemoryStore, Numbers, Pulse, SealedStore, Store, WatchedStore,
};
use crate::worker::Settings;

/// Configures a [`Runtime`].
#[must_use = "a builder does nothing until `build` is awaited"]
pub struct Builder {
    url: String,
    state: State,
    workflows: Vec<&'static WorkflowDefinition>,
    pub(super) settings: Settings,
    grace: Duration,
    durability: Durability,
    schema: String,
    lease: Duration,
    pooled: bool,
    codec: Option<Arc<dyn Codec>>,
    /// Runs that are replayed when the worker has started.
    look_at: usize,
    #[cfg(feature = "testing")]
    crash: Option<crate::testing::CrashPoint>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What an acknowledged commit survives.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Durability {
    /// Power loss (`synchronous=FULL`).
    #[default]
    Full,
    /// A crash of the process. On power loss or a crash of the machine the
    /// last commits may be gone although they were acknowledged: steps whose
    /// results they held run again (`synchronous=NORMAL`).
    ProcessCrash,
}

/// The default bound of one stored value: 1 MiB.
const MAX_PAYLOAD: usize = 1 << 20;
const MAX_HISTORY: u32 = 50_000;
const MAX_MAILBOX: u32 = 10_000;
const MAX_RUNS: usize = 10_000;
const SCHEMA: &str = "workflow";
const LEASE: Duration = Duration::from_secs(15);
const SHORTEST_LEASE: Duration = Duration::from_secs(1);
const MAX_STEPS: usize = 10_000;
const TURN_LIMIT: Duration = Duration::from_secs(2);
/// Runs that are replayed when a worker starts.
const LOOK_AT: usize = 1_000;
/// 30 days.
const KEEP_COMPLETED: Duration = Duration::from_secs(30 * 86_400);

impl Builder {
    pub(super) fn new(url: String) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let settings = Settings {
            // More only take the steps' cores away.
            threads: cores.div_ceil(2),
            park_after: Duration::from_secs(1),
            limits: Limits { payload: MAX_PAYLOAD },
            max_history: MAX_HISTORY,
            strict_arguments: false,
            max_mailbox: MAX_MAILBOX,
            max_runs: MAX_RUNS,
            max_steps: MAX_STEPS,
            max_claims: 5,
            probation: Duration::from_secs(10),
            turn_limit: TURN_LIMIT,
            keep_completed: Some(KEEP_COMPLETED),
            build: default_build().into(),
            exclusive: false,
        };
        Self {
            url,
            state: State::default(),
            workflows: Vec::new(),
            settings,
            grace: Duration::from_secs(30),
            durability: Durability::Full,
            schema: SCHEMA.to_owned(),
            lease: LEASE,
            pooled: false,
            codec: None,
            look_at: LOOK_AT,
            #[cfg(feature = "testing")]
            crash: None,
        }
    }

    /// Gives steps a value for their parameters `#[state] name: &T`.
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.state.insert(Arc::new(value));
        self
    }

    /// Gives steps a shared value, also one of a trait:
    /// `.shared_state::<dyn Mailer>(mailer)`.
    pub fn shared_state<T: ?Sized + Send + Sync + 'static>(mut self, value: Arc<T>) -> Self {
        self.state.insert(value);
        self
    }

    /// Registers a workflow by hand: `.register(checkout)`. Needed only where
    /// the linker drops what nothing calls; annotated functions register
    /// themselves.
    pub fn register<F, A>(mut self, workflow: F) -> Self
    where
        F: Definer<A>,
        F::Definition: Workflow,
    {
        drop(workflow);
        self.workflows.push(<F::Definition as Workflow>::definition());
        self
    }

    /// Threads that run workflow code. Default: one for two cores.
    pub fn workflow_threads(mut self, threads: usize) -> Self {
        self.settings.threads = threads.max(1);
        self
    }

    /// How long a run that only waits for a timer or a retry stays in memory.
    /// Default: 1 second. Longer waits cost a row and no memory.
    pub fn park_after(mut self, grace: Duration) -> Self {
        self.settings.park_after = grace;
        self
    }

    /// Largest arguments or result, in bytes of JSON. Default: 1 MiB.
    pub fn max_payload(mut self, bytes: usize) -> Self {
        self.settings.limits.payload = bytes;
        self
    }

    /// Most events of one history. At four fifths a warning is logged; at the
    /// limit the run ends with a failure of kind
    /// [`FailureKind::HistoryFull`](crate::FailureKind::HistoryFull). Default:
    /// 50,000.
    pub fn max_history(mut self, events: u32) -> Self {
        self.settings.max_history = events.max(1);
        self
    }

    /// Blocks a run also where code makes a call with other arguments than its
    /// history has, and the call has its result already: as the test kit and
    /// `replay_tests!` do. Without it such a run goes on with the recorded result,
    /// and a warning is logged: a field that a step's argument has got since is
    /// mostly harmless. A call that has no result yet, and arguments that were
    /// those of another call, always block.
    pub fn strict_arguments(mut self) -> Self {
        self.settings.strict_arguments = true;
        self
    }

    /// Most signals that wait for one run. One more is refused, with an error that
    /// says so to its sender, whose builder counts. Default: 10,000.
    pub fn max_mailbox(mut self, signals: u32) -> Self {
        self.settings.max_mailbox = signals.max(1);
        self
    }

    /// How many of the runs that wait for time, the newest, are replayed when the
    /// worker has started, beside its work: those that this build will not be able
    /// to go on with are named in the log, long before they are due. What is due is
    /// tried at once anyway. [`check`](Self::check) looks at all, before a deploy.
    /// 0: none. Default: 1,000.
    pub fn check_at_start(mut self, runs: usize) -> Self {
        self.look_at = runs;
        self
    }

    /// Most runs that are in hand at one time. More wait in the database, in
    /// the order in which they are due. A run that only waits for a timer or a
    /// retry does not count. Default: 10,000.
    pub fn max_runs(mut self, runs: usize) -> Self {
        self.settings.max_runs = runs.max(1);
        self
    }

    /// Most attempts of steps that run at one time; more wait in the order in
    /// which they came. A step in back-off does not count. Default: 10,000.
    pub fn max_steps(mut self, steps: usize) -> Self {
        self.settings.max_steps = steps.max(1);
        self
    }

    /// How often a run may be taken up without getting any further, because
    /// each time the process ended, before it is [dead](crate::Status::Dead).
    /// Default: 5.
    ///
    /// After the second time it is suspected: it starts after a pause, in a
    /// group of suspects that grows from one to 256, and alone before it could
    /// be dead, so that the one that ends the process is found and no other dies
    /// for it.
    pub fn max_claims(mut self, claims: u32) -> Self {
        self.settings.max_claims = claims.max(1);
        self
    }

    /// How long a suspect is watched: one that lives so long, or gets any
    /// further, is suspected no more. It is also the pause before a suspect
    /// starts, and grows with each time it ended the process. Default: 10
    /// seconds.
    pub fn probation(mut self, time: Duration) -> Self {
        self.settings.probation = time;
        self
    }

    /// How long a workflow may sleep, or compute, between two awaits. One that
    /// takes longer is [blocked](crate::Status::Blocked); its thread is replaced,
    /// and all other runs go on. On Linux a thread that merely gets no processor
    /// does neither; elsewhere all time counts. Default: 2 seconds.
    pub fn turn_limit(mut self, time: Duration) -> Self {
        self.settings.turn_limit = time;
        self
    }

    /// How long completed runs are kept. Default: 30 days. A run that is
    /// deleted frees its id. Failed, cancelled, dead and blocked runs stay
    /// until they are deleted by name.
    pub fn keep_completed(mut self, time: Duration) -> Self {
        self.settings.keep_completed = Some(time);
        self
    }

    /// Completed runs are kept until they are deleted by name.
    pub fn keep_all(mut self) -> Self {
        self.settings.keep_completed = None;
        self
    }

    /// How long [`Runtime::shutdown`] waits for running steps. Default: 30
    /// seconds.
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The name of this build of the program. A run that a build could not
    /// continue is tried once by every other build. Default: length and time
    /// of the executable file, so that every newly built or copied file counts
    /// as another build.
    pub fn build_id(mut self, build: impl Into<String>) -> Self {
        self.settings.build = build.into().into();
        self
    }

    /// What an acknowledged commit to SQLite survives. Default:
    /// [`Durability::Full`]. On Postgres its `synchronous_commit` decides.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The schema of a Postgres database that holds everything; made if it is
    /// not there. Up to 48 of a-z, 0-9 and `_`, not beginning with a digit or
    /// `pg_`: [`build`](Self::build) and [`connect`](Self::connect) refuse any
    /// other. Default: `workflow`.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// The SQL that makes the schema, for a role that may: where the one of the
    /// application may not, somebody runs this first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`]: the name is none.
    #[cfg(feature = "postgres")]
    pub fn schema_script(&self) -> Result<String, Error> {
        crate::store::schema_script(&self.schema)
    }

    /// Where several runtimes share a Postgres database: one that does not show
    /// for so long that it lives is dead, and the others take over its runs.
    /// Longer than any pause of a healthy process. At least 1 second; default:
    /// 15 seconds.
    ///
    /// # Guarantees
    ///
    /// A runtime that was declared dead and was not writes nothing any more: it
    /// stops its steps and begins anew. A step that it was in the middle of may
    /// act twice, under one [idempotency key](crate::step::idempotency_key).
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(SHORTEST_LEASE);
        self
    }

    /// The URL is of a pooler that gives each transaction another connection:
    /// `PgBouncer` with `pool_mode=transaction`, for instance. Nothing is prepared
    /// or set on a connection then, so that each commit takes four round trips
    /// instead of one, and processes look for news instead of being told:
    /// connect to the server itself where you can. Default: the server itself.
    /// No other store asks for it.
    pub fn transaction_pooler(mut self) -> Self {
        self.pooled = true;
        self
    }

    /// What users wrote – arguments, results, failures, heartbeats – passes this
    /// codec on its way to the database and back. Default: plain JSON, which
    /// people can read there. Clients of one database have the same codec.
    pub fn codec(mut self, codec: impl Codec) -> Self {
        self.codec = Some(Arc::new(codec));
        self
    }

    /// Aborts the process at that point, as `kill -9` would: for tests of what
    /// a crash leaves behind.
    #[cfg(feature = "testing")]
    pub fn crash_at(mut self, point: crate::testing::CrashPoint) -> Self {
        self.crash = Some(point);
        self
    }

    /// Opens the database, brings its schema up to date, and starts to run:
    /// what was interrupted goes on. Steps run on the tokio runtime that this
    /// is awaited in.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`]: a URL of no known store, state that a step
    /// needs and nobody gave, two workflows of one name, a schema of a newer
    /// version. [`ErrorKind::Owned`]: another runtime has the file.
    /// [`ErrorKind::Unavailable`]: the store did not answer.
    pub async fn build(self) -> Result<Runtime, Error> {
        let registry = self.registry()?;
        check_state(&self.state)?;
        let look = Look::new(&self.settings, &registry, self.look_at);
        let pulse = Arc::<Pulse>::default();
        let store = self.open(Use::Run, &pulse).await?;
        let (limits, endings) = (self.settings.limits, Arc::new(Endings::default()));
        let max_mailbox = self.settings.max_mailbox;
        let (clock, store_clock) = clock_of(&*store);
        let life = Life::begin(Making {
            store: Arc::clone(&store),
            pulse: Arc::clone(&pulse),
            clock: Arc::clone(&clock),
            store_clock,
            endings: Arc::clone(&endings),
            registry,
            state: Arc::new(self.state),
            settings: self.settings,
            lease: self.lease,
            grace: self.grace,
        });
        let life = Arc::new(life.await?);
        let look = look.begin(Arc::clone(&store)).map(Arc::new);
        let (starts, numbers) = (life.starts(), Numbers::new(Arc::clone(&store)));
        let chance = Mutex::new(chance::stream());
        let inner = Inner {
            store,
            pulse,
            endings,
            starts,
            numbers,
            limits,
            max_mailbox,
            clock,
            without_worker: false,
            exclusive: false,
            chance,
        };
        Ok(Runtime { client: Client { inner: Arc::new(inner) }, life, _look: look })
    }

    /// Opens the database as a client: it starts runs, reads them and directs
    /// them, and runs none. A SQLite file may have an owner beside it, in
    /// another process; what is started while it has none waits for one.
    ///
    /// State, limits of work and shutdown have no meaning here.
    ///
    /// ```no_run
    /// # use workflow_runtime::{Result, Runtime, workflow};
    /// # #[workflow] async fn send_off(order: u32) -> Result<u32> { Ok(order) }
    /// # async fn example() -> Result<()> {
    /// let client = Runtime::builder("sqlite://shop.db").connect().await?;
    /// let run = client.start(send_off(7).id("order-7")).await?;
    /// println!("{}", run.result().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`]: a URL of no known store, `memory:`, or a
    /// schema of a newer version. [`ErrorKind::Unavailable`]: the store did not
    /// answer.
    pub async fn connect(self) -> Result<Client, Error> {
        let pulse = Arc::<Pulse>::default();
        let store = self.open(Use::Direct, &pulse).await?;
        let writer = WriterId(store.reserve(Counter::Writers, 1).await?);
        let (limits, endings) = (self.settings.limits, Arc::new(Endings::default()));
        let max_mailbox = self.settings.max_mailbox;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let starts = Submitter::start(&store, &endings, Arc::clone(&clock), writer)?;
        let numbers = Numbers::new(Arc::clone(&store));
        let chance = Mutex::new(chance::stream());
        let inner = Inner {
            store,
            pulse,
            endings,
            starts,
            numbers,
            limits,
            max_mailbox,
            clock,
            without_worker: true,
            exclusive: false,
            chance,
        };
        Ok(Client { inner: Arc::new(inner) })
    }

    pub(super) fn registry(&self) -> Result<Registry, Error> {
        Registry::new(&self.workflows)
    }

    pub(super) async fn open(
        &self,
        for_what: Use,
        pulse: &Arc<Pulse>,
    ) -> Result<Arc<dyn Store>, Error> {
        let owner = for_what == Use::Run;
        #[cfg(any(feature = "postgres", feature = "sqlite"))]
        let read_only = for_what == Use::Look;
        let store: Arc<dyn Store> = match Location::parse(&self.url)? {
            Location::Memory if owner => Arc::new(MemoryStore::default()),
            Location::Memory => {
                let message = "`memory:` has no clients but those of its runtime: use \
                               `Runtime::client`";
                return Err(Error::new(ErrorKind::Configuration, message));
            }
            #[cfg(feature = "sqlite")]
            Location::Sqlite(path) => {
                let full = self.durability == Durability::Full;
                let options = crate::store::SqliteOptions { path, full, owner, read_only };
                Arc::new(crate::store::SqliteStore::open(options).await?)
            }
            #[cfg(not(feature = "sqlite"))]
            Location::Sqlite(_) => return Err(needs_feature("sqlite")),
            #[cfg(feature = "postgres")]
            Location::Postgres => {
                let (url, schema) = (self.url.clone(), self.schema.clone());
                let (pooled, lease) = (self.pooled, self.lease);
                let (worker, pulse) = (owner, Arc::clone(pulse));
                let options = crate::store::PostgresOptions {
                    url,
                    schema,
                    worker,
                    pooled,
                    lease,
                    pulse,
                    read_only,
                };
                Arc::new(crate::store::PostgresStore::open(options).await?)
            }
            #[cfg(not(feature = "postgres"))]
            Location::Postgres => return Err(needs_feature("postgres")),
        };
        let store = WatchedStore::around(store, Arc::clone(pulse));
        let store = match &self.codec {
            Some(codec) => SealedStore::around(store, Arc::clone(codec)),
            None => store,
        };
        #[cfg(feature = "testing")]
        if let Some(point) = self.crash {
            return Ok(crate::testing::crashing(store, point));
        }
        Ok(store)
    }
}

/// What a store is opened for.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Use {
    /// To run workflows.
    Run,
    /// To start, read and direct them.
    Direct,
    /// To read them.
    Look,
}

/// Where workers are beside each other the store has the time; where not, the
/// machine.
fn clock_of(store: &dyn Store) -> (Arc<dyn Clock>, Option<Arc<StoreClock>>) {
    if store.fleet().is_none() {
        return (Arc::new(SystemClock::new()), None);
    }
    let clock = Arc::new(StoreClock::new());
    (Arc::clone(&clock) as Arc<dyn Clock>, Some(clock))
}

#[cfg(not(all(feature = "sqlite", feature = "postgres")))]
fn needs_feature(feature: &str) -> Error {
    let message = format!("this URL needs the feature `{feature}` of workflow-runtime");
    Error::new(ErrorKind::Configuration, message)
}

/// The executable file as the file system knows it.
fn default_build() -> String {
    let executable = std::env::current_exe().and_then(std::fs::metadata);
    let Ok(metadata) = executable else { return "unknown".to_owned() };
    let modified = metadata.modified().ok();
    let since = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    format!("{:x}-{:x}", since.map_or(0, |since| since.as_nanos()), metadata.len())
}
