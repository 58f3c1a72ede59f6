//! Signals of a client.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use super::Inner;
use crate::error::{Error, ErrorKind};
use crate::message::{Signal, encode_signal};
use crate::model::{Post, Undelivered};

/// A signal on its way; sent when it is awaited. See [`Handle::send`](crate::Handle::send).
#[must_use = "nothing is sent until this is awaited"]
pub struct Sending {
    client: Arc<Inner>,
    to: Arc<str>,
    name: &'static str,
    body: Result<Arc<str>, String>,
    message: Option<Arc<str>>,
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sending({} to {})", self.name, self.to)
    }
}

impl Sending {
    #[expect(clippy::needless_pass_by_value, reason = "the signal goes")]
    pub(super) fn new<S: Signal>(client: &Arc<Inner>, to: Arc<str>, signal: S) -> Self {
        // Encoded before the first wait: it need not be `Sync`.
        let body = encode_signal(&signal, client.limits.payload);
        Self { client: Arc::clone(client), to, name: S::NAME, body, message: None }
    }

    /// The id of the message: 1 to 512 bytes. What is sent again under one id is
    /// there once, also from another process. Without one it gets an id of its own,
    /// and is sent again under that where an answer was lost.
    pub fn message_id(mut self, id: impl Into<String>) -> Self {
        self.message = Some(id.into().into());
        self
    }

    async fn send(self) -> Result<(), Error> {
        let Self { client, to, name, body, message } = self;
        let body = body.map_err(|error| Error::new(ErrorKind::Unstorable, error))?;
        client.check_message(&to, message.as_deref())?;
        let message = message.unwrap_or_else(|| client.new_id());
        let (at, limit) = (client.clock.now(), client.max_mailbox);
        let post = Post { message, to, asker: None, name: name.into(), body, at, limit };
        let to = Arc::clone(&post.to);
        let delivered = client.store.post(vec![post]).await?;
        client.starts.nudge();
        match delivered.into_iter().next() {
            None | Some(Ok(())) => Ok(()),
            Some(Err(why)) => Err(refused(why, name, &to)),
        }
    }
}

/// What was not delivered, and why.
pub(super) fn refused(why: Undelivered, name: &str, to: &str) -> Error {
    let kind = match why {
        Undelivered::Full => ErrorKind::MailboxFull,
        Undelivered::Ended | Undelivered::Taken => ErrorKind::Ended,
    };
    Error::new(kind, why.describe(name, to))
}

impl IntoFuture for Sending {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
