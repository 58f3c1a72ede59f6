//! A client without a worker: commits its own starts, and watches for the ends
//! that it waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::clock::{Clock, within};
use crate::error::{Error, ErrorKind};
use crate::inbox::Inbox;
use crate::model::{Answer, Item, Start, WriterId};
use crate::store::{
    Accepted, Committer, Endings, Envelope, Fleet, NewRun, Reply, Starts, Store, tell_ends,
};

/// How often is asked whether another process wrote.
const GLANCE: Duration = Duration::from_millis(25);

type Told = oneshot::Sender<Result<Accepted, Error>>;

/// Brings starts to the store, from a thread of its own.
pub(crate) struct Submitter {
    inbox: Arc<Inbox<Envelope<Told>>>,
    writer: WriterId,
    clock: Arc<dyn Clock>,
    stop: Arc<AtomicBool>,
    stopping: Arc<Notify>,
    fleet: Option<Arc<dyn Fleet>>,
}

impl Submitter {
    pub(crate) fn start(
        store: &Arc<dyn Store>,
        endings: &Arc<Endings>,
        clock: Arc<dyn Clock>,
        writer: WriterId,
    ) -> Result<Arc<Self>, Error> {
        let (inbox, stop) = (Arc::new(Inbox::new()), Arc::new(AtomicBool::new(false)));
        let stopping = Arc::new(Notify::new());
        let committer = Committer {
            store: Arc::clone(store),
            inbox: Arc::clone(&inbox),
            stop: Arc::clone(&stop),
        };
        let watch = watch(Arc::clone(store), Arc::clone(endings), Arc::clone(&stopping));
        let fleet = store.fleet();
        let commits = committer.run(move |answers| {
            answers.into_iter().for_each(tell);
            if let Some(fleet) = &fleet {
                fleet.announce();
            }
        });
        let work = async {
            tokio::join!(commits, watch);
        };
        let run = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(work),
            Err(error) => tracing::error!("the client cannot work: {error}"),
        };
        let spawned = std::thread::Builder::new().name("workflow-client".to_owned()).spawn(run);
        spawned.map_err(|error| {
            Error::because(ErrorKind::Unavailable, "no thread could be started", error)
        })?;
        let fleet = store.fleet();
        Ok(Arc::new(Self { inbox, writer, clock, stop, stopping, fleet }))
    }
}

impl Starts for Submitter {
    fn start(&self, new: NewRun) -> Result<(), Error> {
        let NewRun { run, workflow, id, args, meta, accepted } = new;
        let seed = i64::from_ne_bytes(uuid::Uuid::new_v4().as_u64_pair().0.to_ne_bytes());
        let mut item = Item::new(run, self.writer);
        item.start = Some(Box::new(Start {
            workflow: workflow.into(),
            id,
            args,
            seed,
            decided: None,
            meta,
            parent: None,
            queued: true,
            at: self.clock.now(),
        }));
        self.inbox
            .push(Envelope { item, from: accepted })
            .map_err(|_| Error::new(ErrorKind::ShutDown, "the client was closed"))
    }

    fn nudge(&self) {
        // The owner of a file notices by itself that another process wrote.
        if let Some(fleet) = &self.fleet {
            fleet.announce();
        }
    }

    fn close(&self) {
        self.stop.store(true, Ordering::Release);
        self.inbox.close();
        self.stopping.notify_one();
    }
}

impl Drop for Submitter {
    fn drop(&mut self) {
        self.close();
    }
}

fn tell(reply: Reply<Told>) {
    let Reply { from: accepted, answer, .. } = reply;
    let told = match answer {
        Answer::Taken(run) => Ok(Accepted::Taken(run)),
        Answer::Used => Ok(Accepted::Used),
        Answer::Refused(reason) => {
            let message = format!("the store refuses the start: {reason}");
            Err(Error::new(ErrorKind::Unstorable, message))
        }
        Answer::Committed
        | Answer::Undelivered(_)
        | Answer::Conflict
        | Answer::MissingPredecessor
        | Answer::NotEnded => Ok(Accepted::Started),
    };
    // Who asked may have given up.
    let _gone = accepted.send(told);
}

/// Tells the ends of runs that somebody waits for, as other processes write
/// them.
async fn watch(store: Arc<dyn Store>, endings: Arc<Endings>, stopping: Arc<Notify>) {
    while within(GLANCE, stopping.notified()).await.is_none() {
        if endings.is_waiting() && store.changed().await.unwrap_or(false) {
            // A store that does not answer is asked again; `result` looks, too.
            let _unknown = tell_ends(&*store, &endings).await;
        }
    }
}
