//! [`Runtime`]: a worker and a client on one store.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::call::{Call, Definer, Outcome, Workflow};
use crate::client::{Client, ErrOf, Handle, OkOf, Starting, handle_of};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind};
use crate::model::{Limits, WorkflowDefinition, WriterId};
use crate::registry::{Registry, check_state};
use crate::state::State;
use crate::store::{Counter, Endings, MemoryStore, Numbers, Store, TakeOver};
use crate::worker::{Parts, Settings, Worker};

/// Runs workflows on one database, and starts them.
///
/// Build it once per process; it is cheap to clone. Interrupted runs go on by
/// themselves as soon as it is built.
///
/// ```
/// use workflow_runtime::{Result, Runtime, step, workflow};
///
/// #[step]
/// async fn greet(name: String) -> Result<String> {
///     Ok(format!("Hello, {name}!"))
/// }
///
/// #[workflow]
/// async fn welcome(name: String) -> Result<String> {
///     Ok(greet(name).await?)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let runtime = Runtime::builder("memory:").build().await?;
/// let run = runtime.start(welcome("Ada".to_owned()).id("ada")).await?;
/// assert_eq!(run.result().await?, "Hello, Ada!");
/// runtime.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Runtime {
    client: Arc<Client>,
    worker: Arc<tokio::sync::Mutex<Option<Worker>>>,
    grace: Duration,
    writer: WriterId,
    clock: Arc<dyn Clock>,
}

/// The handle of a run of `W`: typed by what `W` returns.
type HandleOf<W> = Handle<OkOf<W>, ErrOf<W>>;

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("writer", &self.writer).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Configures a runtime for the database at `url`:
    ///
    /// * `sqlite://shop.db`, `sqlite:///var/lib/shop.db`: a file, created if it
    ///   is not there, owned by one runtime at a time;
    /// * `memory:` keeps runs in memory; nothing survives the process.
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder::new(url.into())
    }

    /// Starts a run and gives its handle as soon as the start is durable.
    ///
    /// The same id, workflow and arguments name the same run: starting it again
    /// gives a handle of the run that is there, also when it has ended.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`]: the id is taken by another workflow or with
    /// other arguments. [`ErrorKind::Unstorable`]: the arguments are too large,
    /// or are not read back from JSON as they were. [`ErrorKind::ShutDown`].
    /// [`ErrorKind::Unavailable`]: the store did not answer before the run was
    /// on its way, or when the holder of a taken id was read; start it again. A
    /// start that is on its way waits for the store.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the run may be started or not; starting it again under the same
    /// id finds out.
    pub fn start<W>(&self, call: Call<W>) -> Starting<OkOf<W>, ErrOf<W>>
    where
        W: Workflow,
        W::Return: Outcome,
    {
        self.client.start(call)
    }

    /// The run of `workflow` that has that id, whether it exists or not:
    /// `runtime.handle(checkout, "order-1001")`.
    pub fn handle<F, A, W>(&self, workflow: F, id: impl Into<String>) -> HandleOf<W>
    where
        F: Definer<A, Definition = W>,
        W: Workflow,
        W::Return: Outcome,
    {
        // The function names its type; it is not called.
        drop(workflow);
        handle_of::<W>(&self.client, id.into().into(), None)
    }

    /// Stops: takes no new runs, starts no new steps, gives running steps the
    /// grace period to end, and records their results. No workflow is
    /// cancelled: what is open goes on when a runtime is built again.
    ///
    /// Called again, also on a clone, it does nothing.
    ///
    /// # Errors
    ///
    /// The store did not answer; nothing that was acknowledged is lost.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the runtime stops as it would in a crash; nothing is lost.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let Some(worker) = self.worker.lock().await.take() else { return Ok(()) };
        worker.shut_down(self.grace).await;
        self.client.endings.close();
        let released = self.client.store.release(self.writer, self.clock.now()).await;
        self.client.store.close().await;
        released
    }
}

/// Configures a [`Runtime`].
#[must_use = "a builder does nothing until `build` is awaited"]
pub struct Builder {
    url: String,
    state: State,
    workflows: Vec<&'static WorkflowDefinition>,
    settings: Settings,
    grace: Duration,
    durability: Durability,
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
const MAX_RUNS: usize = 10_000;
const MAX_STEPS: usize = 10_000;
/// 30 days.
const KEEP_COMPLETED: Duration = Duration::from_secs(30 * 86_400);

impl Builder {
    fn new(url: String) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let settings = Settings {
            // More only take the steps' cores away.
            threads: cores.div_ceil(2),
            park_after: Duration::from_secs(1),
            limits: Limits { payload: MAX_PAYLOAD },
            max_history: MAX_HISTORY,
            max_runs: MAX_RUNS,
            max_steps: MAX_STEPS,
            max_claims: 5,
            probation: Duration::from_secs(10),
            keep_completed: Some(KEEP_COMPLETED),
            build: default_build().into(),
        };
        Self {
            url,
            state: State::default(),
            workflows: Vec::new(),
            settings,
            grace: Duration::from_secs(30),
            durability: Durability::Full,
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
    /// After the second time it is suspected: it starts after a pause, and not
    /// beside another suspect, so that the one that ends the process is found.
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

    /// What an acknowledged commit survives. Default: [`Durability::Full`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
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
        let registry = Registry::new(&self.workflows)?;
        check_state(&self.state)?;
        let store = self.open().await?;
        let writer = WriterId(store.reserve(Counter::Writers, 1).await?);
        let endings = Arc::new(Endings::default());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        // Before anything is accepted: what is open now is of another life.
        let Settings { max_claims, probation, .. } = self.settings;
        let build = self.settings.build.to_string();
        let (now, pause) = (clock.now(), probation);
        store.take_over(TakeOver { writer, build, now, max_claims, pause }).await?;
        let limits = self.settings.limits;
        let worker = Worker::start(Parts {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            endings: Arc::clone(&endings),
            registry,
            state: Arc::new(self.state),
            settings: self.settings,
            writer,
        })?;
        let numbers = Numbers::new(Arc::clone(&store));
        let starts = worker.starts();
        Ok(Runtime {
            client: Arc::new(Client { store, endings, starts, numbers, limits }),
            worker: Arc::new(tokio::sync::Mutex::new(Some(worker))),
            grace: self.grace,
            writer,
            clock,
        })
    }

    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        let store: Arc<dyn Store> = match Location::parse(&self.url)? {
            Location::Memory => Arc::new(MemoryStore::default()),
            #[cfg(feature = "sqlite")]
            Location::Sqlite(path) => {
                let full = self.durability == Durability::Full;
                let options = crate::store::SqliteOptions { path, full, owner: true };
                Arc::new(crate::store::SqliteStore::open(options).await?)
            }
            #[cfg(not(feature = "sqlite"))]
            Location::Sqlite(path) => return Err(needs_feature(&path)),
        };
        #[cfg(feature = "testing")]
        if let Some(point) = self.crash {
            return Ok(crate::testing::crashing(store, point));
        }
        Ok(store)
    }
}

#[cfg(not(feature = "sqlite"))]
fn needs_feature(path: &std::path::Path) -> Error {
    let message =
        format!("{}: SQLite needs the feature `sqlite` of workflow-runtime", path.display());
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

/// What a URL names.
#[derive(Debug, Eq, PartialEq)]
enum Location {
    Memory,
    Sqlite(PathBuf),
}

impl Location {
    fn parse(url: &str) -> Result<Self, Error> {
        let refuse = |reason: &str| {
            let message =
                format!("`{url}` names no store: {reason}; write `sqlite://file.db` or `memory:`");
            Err(Error::new(ErrorKind::Configuration, message))
        };
        if url == "memory:" {
            return Ok(Self::Memory);
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return refuse("this version has no Postgres store yet");
        }
        let Some(rest) = url.strip_prefix("sqlite:") else {
            return refuse("it does not begin with `sqlite:`");
        };
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.is_empty() {
            return refuse("it has no path");
        }
        if path == ":memory:" {
            return refuse("SQLite in memory would be empty after a crash");
        }
        if path.contains('?') {
            return refuse("options are methods of the builder, not part of the URL");
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_store() {
        let sqlite = |path: &str| Location::Sqlite(path.into());
        let good = [
            ("memory:", Location::Memory),
            ("sqlite://shop.db", sqlite("shop.db")),
            ("sqlite:shop.db", sqlite("shop.db")),
            ("sqlite:///var/lib/shop.db", sqlite("/var/lib/shop.db")),
        ];
        for (url, location) in good {
            assert_eq!(Location::parse(url).unwrap(), location);
        }
    }

    #[test]
    fn a_bad_url_says_what_to_write() {
        for url in ["", "shop.db", "sqlite://", "sqlite::memory:", "postgres://h/db", "sqlite:a?b"]
        {
            let error = Location::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains("sqlite://file.db"), "{error}");
        }
    }
}
