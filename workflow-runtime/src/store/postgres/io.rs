//! A thread of its own for the connections: user code cannot hold them up, and
//! whoever asks may be on any runtime.

use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::fault::unavailable;
use crate::error::{Error, ErrorKind};

/// Connections for everything but commits; one of them listens.
const CONNECTIONS: u32 = 3;

pub(super) struct Io {
    handle: Handle,
    pool: PgPool,
    thread: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl Io {
    pub(super) fn start(options: PgConnectOptions) -> Result<Self, Error> {
        let unavailable = |error: std::io::Error| {
            Error::because(ErrorKind::Unavailable, "no thread could be started", error)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(unavailable)?;
        let handle = runtime.handle().clone();
        let pool = {
            let _inside = handle.enter();
            // Asking each connection whether it lives would double the round
            // trips.
            let pool = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
            pool.acquire_timeout(super::PATIENCE).connect_lazy_with(options)
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let work = move || {
            // Ends when it is told to, or when nobody could tell it any more.
            let _told = runtime.block_on(stopped);
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("workflow-postgres".to_owned()).spawn(work);
        let thread = Mutex::new(Some((stop, thread.map_err(unavailable)?)));
        Ok(Self { handle, pool, thread })
    }

    /// Runs it on the store's own thread, within the time that a database has
    /// to answer.
    pub(super) async fn run<T, F>(&self, ask: impl FnOnce(PgPool) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    {
        let asked = ask(self.pool.clone());
        let bounded = async move { crate::clock::within(super::PATIENCE, asked).await };
        match self.handle.spawn(bounded).await {
            Ok(Some(answer)) => answer.map_err(unavailable),
            Ok(None) => {
                let message = format!("the database did not answer within {:?}", super::PATIENCE);
                Err(Error::new(ErrorKind::Unavailable, message))
            }
            Err(_) => Err(Error::new(ErrorKind::ShutDown, "the store was closed")),
        }
    }

    /// Runs it on the store's own thread until the store is closed.
    pub(super) fn spawn<F>(&self, work: impl FnOnce(PgPool) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.handle.spawn(work(self.pool.clone()));
    }

    pub(super) async fn close(&self) {
        let pool = self.pool.clone();
        // What does not end in time ends with its thread.
        let _late = self.handle.spawn(async move { pool.close().await }).await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, _thread)) = thread {
            // It may have ended already.
            let _gone = stop.send(());
        }
    }
}
