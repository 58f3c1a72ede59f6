//! Requests of a client, and their replies.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Inner;
use super::send::refused;
use crate::clock::{pause, within};
use crate::error::{Error, ErrorKind, Failure, FailureKind};
use crate::message::{Request, decode_reply, encode_request};
use crate::model::{Asker, Post, request_body};

/// How soon a reply is looked for, and how long a wait between two looks becomes.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LONGEST_LOOK: Duration = Duration::from_millis(200);

/// A request on its way, and its reply; sent when it is awaited. See
/// [`Handle::ask`](crate::Handle::ask).
#[must_use = "nothing is asked until this is awaited"]
pub struct Asking<R> {
    client: Arc<Inner>,
    to: Arc<str>,
    name: &'static str,
    body: Result<Arc<str>, Failure>,
    message: Option<Arc<str>>,
    patience: Option<Duration>,
    request: PhantomData<fn() -> R>,
}

impl<R> fmt::Debug for Asking<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asking({} of {})", self.name, self.to)
    }
}

impl<R: Request> Asking<R> {
    #[expect(clippy::needless_pass_by_value, reason = "the request goes")]
    pub(super) fn new(client: &Arc<Inner>, to: Arc<str>, request: R) -> Self {
        // Encoded before the first wait: it need not be `Sync`.
        let body = encode_request(&request, client.limits.payload);
        let (client, name, message) = (Arc::clone(client), R::NAME, None);
        Self { client, to, name, body, message, patience: None, request: PhantomData }
    }

    /// Waits so long for the reply and no longer. The request stays, and may be
    /// answered later: asked again under its [`message_id`](Self::message_id), its
    /// reply is there.
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// The id of the request: 1 to 512 bytes. Asked again under one id, also from
    /// another process, it is the same request, and has one reply: that is kept as
    /// long as the run.
    pub fn message_id(mut self, id: impl Into<String>) -> Self {
        self.message = Some(id.into().into());
        self
    }

    async fn ask(self) -> Result<R::Reply, Failure> {
        let Self { client, to, name, body, message, patience, .. } = self;
        let body = body?;
        client.check_message(&to, message.as_deref()).map_err(|error| failure(&error))?;
        // Under an id of the caller's it may be asked again: its reply stays.
        let is_asked_once = message.is_none();
        let message = message.unwrap_or_else(|| client.new_id());
        let post = Post {
            body: request_body(&message, &body),
            message: Arc::clone(&message),
            to: Arc::clone(&to),
            asker: Some(Asker::Client),
            name: name.into(),
            at: client.clock.now(),
            limit: client.max_mailbox,
        };
        let delivered = client.store.post(vec![post]).await.map_err(|error| failure(&error))?;
        client.starts.nudge();
        if let Some(Err(why)) = delivered.into_iter().next() {
            return Err(failure(&refused(why, name, &to)));
        }
        let reply = answer(&client, &message);
        let text = match patience {
            None => reply.await?,
            Some(patience) => within(patience, reply).await.unwrap_or_else(|| {
                let message = format!("run `{to}` has not answered `{name}` within {patience:?}");
                Err(Failure::of_kind(FailureKind::Unfinished, message))
            })?,
        };
        let reply = decode_reply::<R>(&text).map_err(|error| {
            let message = format!("the reply to `{name}` cannot be read: {error}");
            Failure::of_kind(FailureKind::Unreadable, message)
        })?;
        if is_asked_once && let Err(error) = client.store.reply_read(&message).await {
            tracing::debug!("a reply that was read stays: {error}");
        }
        reply
    }
}

/// Waits through faults of the store.
async fn answer(client: &Inner, message: &str) -> Result<Arc<str>, Failure> {
    let mut look = FIRST_LOOK;
    loop {
        match client.store.reply(message).await {
            Ok(Some(text)) => return Ok(text),
            Err(error) if error.kind() != ErrorKind::Unavailable => return Err(failure(&error)),
            Ok(None) | Err(_) => {}
        }
        pause(look).await;
        // Late by at most a quarter of the time that it took.
        look = (look * 5 / 4).min(LONGEST_LOOK);
    }
}

fn failure(error: &Error) -> Failure {
    let kind = match error.kind() {
        ErrorKind::Ended | ErrorKind::MailboxFull => FailureKind::Undelivered,
        ErrorKind::Unstorable => FailureKind::Unstorable,
        ErrorKind::Unavailable
        | ErrorKind::Conflict
        | ErrorKind::NotFound
        | ErrorKind::Configuration
        | ErrorKind::Owned
        | ErrorKind::ShutDown
        | ErrorKind::Corrupt
        | ErrorKind::Fenced => FailureKind::Unfinished,
    };
    Failure::of_kind(kind, error.to_string())
}

impl<R: Request> IntoFuture for Asking<R> {
    type Output = Result<R::Reply, Failure>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.ask())
    }
}
