//! What processes tell each other, off the way of commits: a hint that there is
//! something to look for, and never more. Whoever misses it looks anyway, a
//! little later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::Notify;

use super::io::Connections;
use super::servers::Servers;
use super::{PATIENCE, ask};
use crate::clock::pause;

/// So long after one announcement the next waits, and carries all between.
const COALESCE: Duration = Duration::from_millis(20);
/// Tried again after so long.
const RETRY: Duration = Duration::from_secs(1);

/// What there is news of.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Runs to be claimed, commands.
    Work,
    /// Runs that have ended.
    Ends,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Work, Self::Ends];

    fn name(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Ends => "ends",
        }
    }
}

/// News of this process and of others.
pub(super) struct News {
    /// One schema's.
    channel: String,
    /// Tells our own from those of others.
    own: String,
    ours: [AtomicBool; 2],
    theirs: [AtomicBool; 2],
    told: Notify,
}

impl News {
    pub(super) fn new(schema: &str) -> Arc<Self> {
        Arc::new(Self {
            channel: format!("workflow_{schema}"),
            own: uuid::Uuid::new_v4().simple().to_string(),
            ours: [const { AtomicBool::new(false) }; 2],
            theirs: [const { AtomicBool::new(false) }; 2],
            told: Notify::new(),
        })
    }

    pub(super) fn announce(&self, kind: Kind) {
        if !self.ours[kind as usize].swap(true, Ordering::AcqRel) {
            self.told.notify_one();
        }
    }

    /// Whether others told of it since this was asked last.
    pub(super) fn has_come(&self, kind: Kind) -> bool {
        self.theirs[kind as usize].swap(false, Ordering::AcqRel)
    }

    /// Sends what is announced: the first at once, what follows together.
    pub(super) async fn send(self: Arc<Self>, connections: Arc<Connections>) {
        loop {
            self.told.notified().await;
            for kind in Kind::ALL {
                if self.ours[kind as usize].swap(false, Ordering::AcqRel) {
                    let payload = format!("{} {}", kind.name(), self.own);
                    let channel = self.channel.clone();
                    let told = connections.live(
                        RETRY,
                        ask!(c => {
                            let notify = c.query("select pg_notify($1, $2)").bind(channel);
                            notify.bind(payload).execute(&mut **c).await.map(drop)
                        }),
                    );
                    // Whoever is not told looks a little later.
                    let _lost = told.await;
                }
            }
            pause(COALESCE).await;
        }
    }

    /// Listens to others.
    pub(super) async fn listen(self: Arc<Self>, connections: Arc<Connections>) {
        loop {
            if connections.servers.are_pooled() {
                // Nobody is told: whoever waits for an end looks. For work the
                // claimer looks by itself.
                self.come(Kind::Ends);
            } else {
                if let Err(error) = self.try_listen(&connections.servers).await {
                    tracing::debug!("news of other workers do not come: {error}");
                }
                // Something may have been missed.
                Kind::ALL.into_iter().for_each(|kind| self.come(kind));
            }
            pause(RETRY).await;
        }
    }

    /// Until the connection is lost: the next may be to another server.
    async fn try_listen(&self, servers: &Servers) -> Result<(), sqlx::Error> {
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE);
        let pool = pool.connect_lazy_with(servers.last());
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(&self.channel).await?;
        let silences = servers.silences();
        loop {
            tokio::select! {
                news = listener.try_recv() => match news? {
                    Some(news) => self.hear(news.payload()),
                    None => return Ok(()),
                },
                // One that is gone without a word would be listened to for ever.
                () = servers.falls_silent_after(silences) => return Ok(()),
            }
        }
    }

    fn hear(&self, payload: &str) {
        let Some((kind, own)) = payload.split_once(' ') else { return };
        if own != self.own {
            Kind::ALL.into_iter().filter(|one| one.name() == kind).for_each(|one| self.come(one));
        }
    }

    fn come(&self, kind: Kind) {
        self.theirs[kind as usize].store(true, Ordering::Release);
    }
}
