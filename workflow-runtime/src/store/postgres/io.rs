//! A thread of its own for the connections: user code cannot hold them up, and
//! whoever asks may be on any runtime.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Mutex as Slot, oneshot};

use super::PATIENCE;
use super::fault::{Fault, is_refused, late, unavailable};
use super::link::{Asked, Connection, Link, Shape};
use super::servers::Servers;
use crate::clock::{Moment, within};
use crate::error::{Error, ErrorKind};
use crate::store::Backoff;

/// Connections for everything but commits and signs of life.
const CONNECTIONS: usize = 2;
/// Waits between tries.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

pub(super) struct Io {
    handle: Handle,
    connections: Arc<Connections>,
    thread: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

/// Connections that are made when they are needed, and kept.
pub(super) struct Connections {
    pub(super) servers: Arc<Servers>,
    general: [Slot<Option<Link>>; CONNECTIONS],
    /// Signs of life, and what workers tell each other: short, all of it.
    life: [Slot<Option<Link>>; 1],
}

/// What somebody asks.
struct Question<A> {
    shape: Shape,
    patience: Duration,
    /// Asked again if it is not known what became of it.
    again: bool,
    ask: A,
}

impl Io {
    pub(super) fn start(servers: Arc<Servers>) -> Result<Self, Error> {
        let unavailable = |error: std::io::Error| {
            Error::because(ErrorKind::Unavailable, "no thread could be started", error)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(unavailable)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let work = move || {
            // Ends when it is told to, or when nobody could tell it any more.
            let _told = runtime.block_on(stopped);
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("workflow-postgres".to_owned()).spawn(work);
        let thread = Mutex::new(Some((stop, thread.map_err(unavailable)?)));
        let general = [const { Slot::const_new(None) }; CONNECTIONS];
        let connections = Connections { servers, general, life: [Slot::const_new(None)] };
        Ok(Self { handle, connections: Arc::new(connections), thread })
    }

    /// Connects for the first time: what nobody but people can change is told
    /// at once.
    pub(super) async fn reach(&self) -> Result<(), Error> {
        let connections = Arc::clone(&self.connections);
        let reached = async move {
            let (begun, mut backoff) = (Moment::now(), Backoff::new(FIRST_WAIT, LONGEST_WAIT));
            loop {
                let error = match connections.servers.connect().await {
                    Ok(link) => {
                        *free(&connections.general).await = Some(link);
                        return Ok(());
                    }
                    Err(error) => error,
                };
                if is_refused(&error) || Moment::now().since(begun) > PATIENCE {
                    return Err(unavailable(error));
                }
                crate::clock::pause(backoff.next()).await;
            }
        };
        self.handle.spawn(reached).await.map_err(closed)?
    }

    /// Asks the database, on the store's own thread. Asked twice it must do
    /// what it does once: if the answer is lost, it is asked again until the
    /// patience of its shape ends.
    pub(super) async fn run<T, A>(&self, shape: Shape, ask: A) -> Result<T, Error>
    where
        T: Send + 'static,
        A: for<'c> FnOnce(&'c mut Connection) -> Asked<'c, T> + Clone + Send + 'static,
    {
        self.spawned(Question { shape, patience: shape.patience(), again: true, ask }).await
    }

    /// Asks once: what must not be done twice unless somebody looks what became
    /// of it.
    pub(super) async fn run_once<T, A>(&self, shape: Shape, ask: A) -> Result<T, Error>
    where
        T: Send + 'static,
        A: for<'c> FnOnce(&'c mut Connection) -> Asked<'c, T> + Clone + Send + 'static,
    {
        self.spawned(Question { shape, patience: shape.patience(), again: false, ask }).await
    }

    async fn spawned<T, A>(&self, question: Question<A>) -> Result<T, Error>
    where
        T: Send + 'static,
        A: for<'c> FnOnce(&'c mut Connection) -> Asked<'c, T> + Clone + Send + 'static,
    {
        let connections = Arc::clone(&self.connections);
        let asked = async move {
            let slot = free(&connections.general).await;
            answer(&connections.servers, slot, question).await
        };
        self.handle.spawn(asked).await.map_err(closed)?
    }

    /// As [`run`](Self::run), on the connection for signs of life.
    pub(super) async fn live<T, A>(&self, patience: Duration, ask: A) -> Result<T, Error>
    where
        T: Send + 'static,
        A: for<'c> FnOnce(&'c mut Connection) -> Asked<'c, T> + Clone + Send + 'static,
    {
        let connections = Arc::clone(&self.connections);
        self.handle
            .spawn(async move { connections.live(patience, ask).await })
            .await
            .map_err(closed)?
    }

    /// Runs it on the store's own thread until the store is closed.
    pub(super) fn spawn<F>(&self, work: impl FnOnce(Arc<Connections>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.handle.spawn(work(Arc::clone(&self.connections)));
    }

    pub(super) fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, _thread)) = thread {
            // It may have ended already. Connections end with it.
            let _gone = stop.send(());
        }
    }
}

impl Connections {
    /// As [`Io::live`], where one is on the store's own thread already.
    pub(super) async fn live<T, A>(&self, patience: Duration, ask: A) -> Result<T, Error>
    where
        A: for<'c> FnOnce(&'c mut Connection) -> Asked<'c, T> + Clone,
    {
        let question = Question { shape: Shape::Life, patience, again: true, ask };
        answer(&self.servers, free(&self.life).await, question).await
    }
}

fn closed(_: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::ShutDown, "the store was closed")
}

/// A connection that nobody uses, or the first once nobody does.
async fn free<const N: usize>(
    connections: &[Slot<Option<Link>>; N],
) -> tokio::sync::MutexGuard<'_, Option<Link>> {
    let mut waiting: Vec<_> = connections.iter().map(|slot| Box::pin(slot.lock())).collect();
    std::future::poll_fn(|cx| {
        let mut ready = waiting.iter_mut().map(|slot| slot.as_mut().poll(cx));
        ready.find(std::task::Poll::is_ready).unwrap_or(std::task::Poll::Pending)
    })
    .await
}

/// Asks until there is an answer, as long as the patience lasts.
async fn answer<T, A>(
    servers: &Servers,
    mut slot: tokio::sync::MutexGuard<'_, Option<Link>>,
    question: Question<A>,
) -> Result<T, Error>
where
    A: for<'c> FnOnce(&'c mut Connection) -> Asked<'c, T> + Clone,
{
    let begun = Moment::now();
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        let left = question.patience.saturating_sub(Moment::now().since(begun));
        let (ask, mut sent, at) = (question.ask.clone(), false, Moment::now());
        let tried = within(left, once(servers, &mut slot, (question.shape, ask), &mut sent)).await;
        let mut is_over = false;
        let (fault, error) = match tried {
            Some(Ok(answer)) => {
                servers.pulse().note(at, &Ok(()));
                return Ok(answer);
            }
            Some(Err(error)) => {
                is_over = is_refused(&error);
                (Some(Fault::of(&error)), unavailable(error))
            }
            None => {
                servers.was_late(Moment::now().since(at));
                (None, late(question.patience))
            }
        };
        let failed = Err(error);
        // Each try counts: whoever asked may have given up.
        servers.pulse().note(at, &failed);
        let is_known = question.again || !sent || fault == Some(Fault::Again);
        is_over |= matches!(fault, None | Some(Fault::Item(_))) || !is_known;
        let left = question.patience.saturating_sub(Moment::now().since(begun));
        let wait = backoff.next();
        if is_over || wait >= left {
            return failed;
        }
        crate::clock::pause(wait).await;
    }
}

async fn once<T, A>(
    servers: &Servers,
    slot: &mut Option<Link>,
    (shape, ask): (Shape, A),
    sent: &mut bool,
) -> Result<T, sqlx::Error>
where
    A: for<'c> FnOnce(&'c mut Connection) -> Asked<'c, T>,
{
    // Out of its slot until it has answered: if nobody waits for that any more
    // it is closed, whatever it is in the middle of.
    let mut link = servers.link(slot).await?;
    if shape == Shape::Life && servers.are_pooled() {
        // A pooler changes servers and tells nobody.
        servers.memory.compare(&mut link).await?;
    }
    *sent = true;
    let answered = link.ask(shape, ask).await;
    if answered.as_ref().err().is_none_or(|error| Fault::of(error) != Fault::Lost) {
        *slot = Some(link);
    }
    answered
}
