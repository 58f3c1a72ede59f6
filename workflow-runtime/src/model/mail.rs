//! Messages between runs, and the starts of children: what a turn asks of others.

use std::sync::Arc;

use super::{CallId, RunId, Start};
use crate::clock::Timestamp;

/// What a message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MailKind {
    /// Somebody sent it; the run takes it when it asks for one of its name.
    Signal,
    /// The same, and whoever sent it waits for a reply.
    Request,
    /// The reply to a request of the run.
    Reply,
    /// A child of the run ended.
    Child,
}

impl MailKind {
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Request => "request",
            Self::Reply => "reply",
            Self::Child => "child",
        }
    }

    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let all = [Self::Signal, Self::Request, Self::Reply, Self::Child];
        all.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A message that its run has not taken yet.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    /// Given by the store, in the order of arrival; never twice.
    pub(crate) number: i64,
    pub(crate) kind: MailKind,
    /// Of the signal; of the child's workflow.
    pub(crate) name: Arc<str>,
    /// The call that it answers.
    pub(crate) call: Option<CallId>,
    /// JSON.
    pub(crate) body: Arc<str>,
}

/// What has come for a run since its owner was told last.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) run: RunId,
    /// All that it has not taken, in order.
    pub(crate) mail: Vec<Mail>,
    /// How many have come for it, ever.
    pub(crate) heard: i64,
}

/// What is new for the runs of a writer.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllNews {
    pub(crate) of_runs: Vec<News>,
    /// Signals wait for runs that have not been started.
    pub(crate) early: bool,
}

/// What a run shows to others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Shown {
    /// Another one for each time it said so.
    pub(crate) version: (RunId, i64),
    /// JSON.
    pub(crate) body: Arc<str>,
}

/// Who waits for a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asker {
    Client,
    Call(RunId, CallId),
}

impl Asker {
    /// As it is stored.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn columns(self) -> (Option<i64>, Option<u32>) {
        match self {
            Self::Client => (None, None),
            Self::Call(run, call) => (Some(run.0), Some(call.0)),
        }
    }

    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn from_columns(run: Option<i64>, call: Option<u32>) -> Self {
        match run.zip(call) {
            Some((run, call)) => Self::Call(RunId(run), CallId(call)),
            None => Self::Client,
        }
    }
}

/// A request as it is stored: the workflow needs its name to answer it.
pub(crate) fn request_body(message: &str, body: &str) -> Arc<str> {
    format!("{{\"message\":{},\"body\":{body}}}", serde_json::Value::from(message)).into()
}

/// A signal or a request on its way.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// Made before the first try: sent again, it is there once.
    pub(crate) message: Arc<str>,
    /// The workflow id of the receiver.
    pub(crate) to: Arc<str>,
    /// Of a request: who waits for the reply.
    pub(crate) asker: Option<Asker>,
    pub(crate) name: Arc<str>,
    /// JSON.
    pub(crate) body: Arc<str>,
    pub(crate) at: Timestamp,
    /// Most messages that wait for one run.
    pub(crate) limit: u32,
}

/// Why a message or a child's start was not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Undelivered {
    /// The run has ended.
    Ended,
    /// Too many messages wait for it.
    Full,
    /// The workflow id belongs to another run.
    Taken,
}

impl Post {
    pub(crate) fn kind(&self) -> MailKind {
        if self.asker.is_some() { MailKind::Request } else { MailKind::Signal }
    }
}

impl Undelivered {
    /// For people.
    pub(crate) fn describe(self, name: &str, to: &str) -> String {
        match self {
            Self::Ended => format!("`{name}` was not delivered: run `{to}` has ended"),
            Self::Full => format!(
                "`{name}` was not delivered: the mailbox of run `{to}` is full; send again when it \
                 has received some, or raise `max_mailbox` of the builder"
            ),
            Self::Taken => format!("the workflow id `{to}` belongs to another run"),
        }
    }
}

/// What a run asks of others, in the commit of the turn that decided it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    /// By the calls that wait for what becomes of them.
    pub(crate) posts: Vec<(CallId, Post)>,
    pub(crate) children: Vec<(CallId, Start)>,
    /// Messages that are in its history now, by their numbers.
    pub(crate) taken: Vec<i64>,
    /// Replies: to which request, and what.
    pub(crate) replies: Vec<(Arc<str>, Arc<str>)>,
    /// Children that nobody waits for any more: their calls and workflow ids, and who
    /// says so.
    pub(crate) cancels: Vec<(CallId, Arc<str>, Arc<str>)>,
    /// JSON: what it shows to others from now on.
    pub(crate) state: Option<Arc<str>>,
    /// Signals that are in its history and that no code took before it ended: name
    /// and body. Its next generation gets them; without one, people.
    pub(crate) not_taken: Vec<(Arc<str>, Arc<str>)>,
}

impl Traffic {
    pub(crate) fn is_empty(&self) -> bool {
        self.posts.is_empty()
            && self.children.is_empty()
            && self.taken.is_empty()
            && self.replies.is_empty()
            && self.cancels.is_empty()
            && self.not_taken.is_empty()
            && self.state.is_none()
    }

    /// Whether somebody else has to look.
    pub(crate) fn reaches_others(&self) -> bool {
        !self.posts.is_empty()
            || !self.children.is_empty()
            || !self.cancels.is_empty()
            || !self.replies.is_empty()
    }

    /// What another turn asks for beside it.
    pub(crate) fn and(&mut self, mut other: Self) {
        self.posts.append(&mut other.posts);
        self.children.append(&mut other.children);
        self.taken.append(&mut other.taken);
        self.replies.append(&mut other.replies);
        self.cancels.append(&mut other.cancels);
        self.not_taken.append(&mut other.not_taken);
        self.state = other.state.or_else(|| self.state.take());
    }

    /// A call is not waited for any more, before anything was written. False: it
    /// is not among these.
    pub(crate) fn withdraw(&mut self, call: CallId) -> bool {
        let before = self.posts.len() + self.children.len();
        self.posts.retain(|(of, _)| *of != call);
        self.children.retain(|(of, _)| *of != call);
        self.posts.len() + self.children.len() < before
    }
}
