//! The lives of a worker. Alone on its store it has one. Beside others it shows
//! that it lives, takes over from those that do not, and begins anew if it was
//! declared dead itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::clock::{Clock, Moment, StoreClock, within};
use crate::error::{Error, ErrorKind};
use crate::model::WriterId;
use crate::registry::Registry;
use crate::state::State;
use crate::store::{
    Alive, Counter, Endings, Fleet, Member, NewRun, Of, Pulse, Seen, Starts, Store, TakeOver,
    tell_ends,
};
use crate::worker::{Lease, Parts, Settings, Worker};

/// What every life of a worker is made of.
pub(super) struct Making {
    pub(super) store: Arc<dyn Store>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) clock: Arc<dyn Clock>,
    /// The same clock, where the store has one of its own.
    pub(super) store_clock: Option<Arc<StoreClock>>,
    pub(super) endings: Arc<Endings>,
    pub(super) registry: Registry,
    pub(super) state: Arc<State>,
    pub(super) settings: Settings,
    /// A worker whose beat stands still for so long is dead.
    pub(super) lease: Duration,
    /// How long steps that run may take to end when the worker ends.
    pub(super) grace: Duration,
}

/// A worker, whichever life it is in.
pub(super) struct Life(Arc<Inner>);

struct Inner {
    making: Making,
    steps: Handle,
    lease: Arc<Lease>,
    current: Mutex<Option<Current>>,
    /// Who writes, also while it drains; 0 before the first.
    writer: AtomicI64,
    stop: AtomicBool,
    stopping: Notify,
    /// Whoever ends it too waits.
    ending: tokio::sync::Mutex<()>,
}

struct Current {
    worker: Worker,
    writer: WriterId,
}

impl Life {
    /// Begins. Steps run on the tokio runtime of the caller.
    pub(super) async fn begin(making: Making) -> Result<Self, Error> {
        let steps = Handle::try_current().map_err(|error| {
            let message = "a runtime is built inside a tokio runtime: steps run there";
            Error::because(ErrorKind::Configuration, message, error)
        })?;
        let lease = Arc::new(Lease::new(making.store.fleet().map(|_| making.lease)));
        let (stop, stopping) = (AtomicBool::new(false), Notify::new());
        let (current, writer) = (Mutex::default(), AtomicI64::new(0));
        let ending = tokio::sync::Mutex::default();
        let inner = Inner { making, steps, lease, current, writer, stop, stopping, ending };
        let inner = Arc::new(inner);
        inner.begin().await?;
        if let Some(fleet) = inner.making.store.fleet() {
            let watched = Arc::clone(&inner);
            spawn(move || watched.watch(&*fleet))?;
        }
        Ok(Self(inner))
    }

    pub(super) fn starts(&self) -> Arc<dyn Starts> {
        Arc::clone(&self.0) as Arc<dyn Starts>
    }

    pub(super) fn writer(&self) -> WriterId {
        self.0.writer()
    }

    /// For how long nobody can take over from it. None: nobody could.
    pub(super) fn lease(&self) -> Option<Duration> {
        self.0.lease.left()
    }

    /// Ends it in good order, once; what it held is free at once.
    pub(super) async fn end(&self) -> Result<(), Error> {
        self.0.end().await
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Release);
        self.0.stopping.notify_one();
        // As a crash would: nothing is lost.
        drop(self.0.current().take());
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let thread = std::thread::Builder::new().name("workflow-fleet".to_owned()).spawn(work);
    thread.map(drop).map_err(|error| {
        Error::because(ErrorKind::Unavailable, "no thread could be started", error)
    })
}

/// How many times in a lease a worker shows that it lives.
const BEATS: u32 = 3;
/// How often is looked whether runs that somebody waits for ended elsewhere.
const ENDS: Duration = Duration::from_millis(250);

/// Another worker, and since when its beat stands still.
type Others = BTreeMap<WriterId, (i64, Moment)>;

impl Inner {
    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn end(&self) -> Result<(), Error> {
        let _alone = self.ending.lock().await;
        self.stop.store(true, Ordering::Release);
        let Some(current) = self.current().take() else { return Ok(()) };
        let Making { store, clock, grace, .. } = &self.making;
        // It shows that it lives until its last step has ended.
        current.worker.shut_down(*grace).await;
        self.stopping.notify_one();
        let mut released = store.release(current.writer, clock.now()).await;
        if let Some(fleet) = store.fleet() {
            released = released.and(fleet.leave(current.writer).await);
            fleet.announce();
        }
        released
    }

    fn writer(&self) -> WriterId {
        WriterId(self.writer.load(Ordering::Acquire))
    }

    /// A new life, as a new writer.
    async fn begin(&self) -> Result<(), Error> {
        let Making { store, clock, endings, registry, state, settings, .. } = &self.making;
        self.making.pulse.begins_anew();
        let writer = WriterId(store.reserve(Counter::Writers, 1).await?);
        let build = settings.build.to_string();
        let mut of = Of::All;
        if let Some(fleet) = store.fleet() {
            of = Of::Nobody;
            fleet.join(self.member(writer)).await?;
            self.beat(&*fleet, writer).await?;
        }
        // Before anything is accepted: what is open now is of another life.
        let (max_claims, pause) = (settings.max_claims, settings.probation);
        let now = clock.now();
        store.take_over(TakeOver { writer, of, build, now, max_claims, pause }).await?;
        let parts = Parts {
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            endings: Arc::clone(endings),
            registry: registry.clone(),
            state: Arc::clone(state),
            settings: settings.clone(),
            writer,
            lease: Arc::clone(&self.lease),
        };
        let worker = Worker::start(parts, &self.steps)?;
        self.writer.store(writer.0, Ordering::Release);
        *self.current() = Some(Current { worker, writer });
        Ok(())
    }

    fn member(&self, writer: WriterId) -> Member {
        let Making { registry, settings, clock, .. } = &self.making;
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Member {
            writer,
            build: settings.build.to_string(),
            workflows: registry.names().map(str::to_owned).collect(),
            host: host.trim().to_owned(),
            process: std::process::id(),
            at: clock.now(),
        }
    }

    /// Shows that it lives. None: it was declared dead.
    async fn beat(&self, fleet: &dyn Fleet, writer: WriterId) -> Result<Option<Alive>, Error> {
        let before = Moment::now();
        let Some(alive) = fleet.beat(writer).await? else { return Ok(None) };
        let lapsed = !self.lease.holds();
        // Counted from before it was asked: nobody else can count from earlier.
        self.lease.renew(before);
        if let Some(current) = self.current().as_ref().filter(|_| lapsed) {
            current.worker.renewed();
        }
        if let Some(clock) = &self.making.store_clock {
            clock.set(alive.at);
        }
        Ok(Some(alive))
    }

    /// A thread of its own: no user code and no other work holds it up.
    fn watch(self: &Arc<Self>, fleet: &dyn Fleet) {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(async {
                let (beats, ends) = (self.beats(fleet), self.ends(fleet));
                tokio::select! {
                    () = self.stopping.notified() => {}
                    () = beats => {}
                    () = ends => {}
                }
            }),
            Err(error) => tracing::error!("the worker cannot show that it lives: {error}"),
        }
    }

    async fn beats(self: &Arc<Self>, fleet: &dyn Fleet) {
        let mut others = Others::new();
        loop {
            crate::clock::pause(self.making.lease / BEATS).await;
            let is_between = self.current().is_none() && !self.stop.load(Ordering::Acquire);
            if is_between {
                self.begin_anew().await;
            } else if let Err(error) = self.show(fleet, &mut others).await {
                tracing::debug!("it cannot be shown that this worker lives: {error}");
            }
        }
    }

    /// Shows that this worker lives, and looks at the others.
    async fn show(self: &Arc<Self>, fleet: &dyn Fleet, others: &mut Others) -> Result<(), Error> {
        let writer = self.writer();
        if let Some(alive) = self.beat(fleet, writer).await? {
            if alive.is_outdated {
                self.retire();
            }
            return self.observe(fleet, writer, others).await;
        }
        tracing::error!(
            "this worker was declared dead: others go on with its runs, and it begins anew"
        );
        // Its threads end by themselves; its steps are stopped.
        drop(self.current().take());
        others.clear();
        self.begin_anew().await;
        Ok(())
    }

    /// A newer build may write what this one cannot read.
    fn retire(self: &Arc<Self>) {
        if self.stop.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::error!(
            "a newer build has changed the schema: this worker ends its steps and stops, and newer \
             ones go on with its runs. Replace it by the newer build"
        );
        let inner = Arc::clone(self);
        self.steps.spawn(async move {
            if let Err(error) = inner.end().await {
                tracing::warn!("what this worker held waits until it is taken over: {error}");
            }
        });
    }

    async fn begin_anew(&self) {
        if self.stop.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = self.begin().await {
            tracing::warn!("the worker cannot begin anew, and tries again: {error}");
        }
        if self.stop.load(Ordering::Acquire) {
            // It was ended between its two lives.
            drop(self.current().take());
        }
    }

    /// Declares workers dead whose beat has stood still for a lease, by this
    /// process's own clock, and takes over from them.
    async fn observe(
        &self,
        fleet: &dyn Fleet,
        writer: WriterId,
        others: &mut Others,
    ) -> Result<(), Error> {
        let seen = fleet.others(writer).await?;
        let now = Moment::now();
        others.retain(|worker, _| seen.iter().any(|seen| seen.worker == *worker));
        let mut dead = Vec::new();
        for Seen { worker, beat, live } in seen {
            let known = others.entry(worker).or_insert((beat, now));
            if known.0 != beat {
                *known = (beat, now);
            } else if live && now.since(known.1) >= self.making.lease {
                fleet.declare_dead(Seen { worker, beat, live }).await?;
                tracing::warn!(worker = worker.0, "a worker is dead: its runs are taken over");
            } else if live {
                continue;
            }
            if !live || now.since(known.1) >= self.making.lease {
                dead.push(worker);
            }
        }
        for worker in dead {
            self.take_over(writer, worker).await?;
        }
        Ok(())
    }

    async fn take_over(&self, writer: WriterId, dead: WriterId) -> Result<(), Error> {
        let Making { store, clock, settings, .. } = &self.making;
        let (max_claims, pause) = (settings.max_claims, settings.probation);
        let (build, now, of) = (settings.build.to_string(), clock.now(), Of::Worker(dead));
        store.take_over(TakeOver { writer, of, build, now, max_claims, pause }).await?;
        self.nudge();
        if let Some(fleet) = store.fleet() {
            fleet.announce();
        }
        Ok(())
    }

    /// Tells the ends of runs that other workers ran and somebody here waits
    /// for.
    async fn ends(&self, fleet: &dyn Fleet) {
        let Making { store, endings, .. } = &self.making;
        loop {
            crate::clock::pause(ENDS).await;
            if fleet.ended_elsewhere() && endings.is_waiting() {
                // A store that does not answer is asked again; `result` looks,
                // too.
                let _unknown = within(self.making.lease, tell_ends(&**store, endings)).await;
            }
        }
    }
}

impl Starts for Inner {
    fn start(&self, new: NewRun) -> Result<(), Error> {
        let starts = self.current().as_ref().map(|current| current.worker.starts());
        let between = || Error::new(ErrorKind::Unavailable, "the worker is between two lives");
        let started = starts.ok_or_else(between).and_then(|starts| starts.start(new));
        started.map_err(|_| match self.stop.load(Ordering::Acquire) {
            true => Error::new(ErrorKind::ShutDown, "the runtime was shut down"),
            false => between(),
        })
    }

    fn nudge(&self) {
        if let Some(current) = &*self.current() {
            current.worker.starts().nudge();
        }
        if let Some(fleet) = self.making.store.fleet() {
            fleet.announce();
        }
    }

    fn close(&self) {
        // The runtime that owns the worker ends it.
    }
}
