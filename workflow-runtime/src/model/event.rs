//! One row of a history.

use std::borrow::Cow;
use std::sync::Arc;

use super::{CallId, CallKind, Decisions, WriterId};
use crate::clock::Timestamp;

/// What a row of a history says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EventKind {
    /// Gives the decisions and the time of the oldest event before it that was
    /// stored without them; at first, of the start.
    Begun,
    /// A step ended: `payload` is its result.
    Step,
    /// A timer was due.
    Timer,
    /// A signal was taken: `payload` is what it carries.
    Signal,
    /// A child ended: `payload` is its result.
    Child,
    /// A signal was delivered, or could not be.
    Sent,
    /// A request was answered: `payload` is the reply.
    Reply,
    /// Somebody cancelled the run: `payload` says who and why.
    Cancelled,
    /// The code did not repeat what stands before it, and the run ended for that.
    Refused,
}

impl EventKind {
    /// The kind of call that such an event answers, if it answers one.
    pub(crate) fn answers(self) -> Option<CallKind> {
        match self {
            Self::Step => Some(CallKind::Step),
            Self::Timer => Some(CallKind::Timer),
            Self::Signal => Some(CallKind::Receive),
            Self::Child => Some(CallKind::Child),
            Self::Sent => Some(CallKind::Send),
            Self::Reply => Some(CallKind::Ask),
            Self::Begun | Self::Cancelled | Self::Refused => None,
        }
    }

    /// What answers such a call.
    pub(crate) fn of(call: CallKind) -> Self {
        match call {
            CallKind::Step => Self::Step,
            CallKind::Timer => Self::Timer,
            CallKind::Receive => Self::Signal,
            CallKind::Child => Self::Child,
            // A reply is not waited for: nothing answers it.
            CallKind::Send | CallKind::Reply => Self::Sent,
            CallKind::Ask => Self::Reply,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Step => "step",
            Self::Timer => "timer",
            Self::Signal => "signal",
            Self::Child => "child",
            Self::Sent => "sent",
            Self::Reply => "reply",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
        }
    }

    #[cfg(any(feature = "postgres", feature = "sqlite", feature = "testing"))]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let all = [
            Self::Begun,
            Self::Step,
            Self::Timer,
            Self::Signal,
            Self::Child,
            Self::Sent,
            Self::Reply,
            Self::Cancelled,
            Self::Refused,
        ];
        all.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One row of a history. Immutable once stored.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Place in the history, from 1, without gaps.
    pub(crate) seq: u32,
    pub(crate) kind: EventKind,
    /// The call that it answers; none for `Begun`.
    pub(crate) call: Option<CallId>,
    pub(crate) name: Cow<'static, str>,
    /// JSON: the result of a step.
    pub(crate) payload: Option<Arc<str>>,
    /// JSON: what the turn that delivered it decided. None: it was stored, and
    /// a `Begun` row after it tells of its delivery.
    pub(crate) decided: Option<Arc<str>>,
    pub(crate) writer: WriterId,
    pub(crate) at: Timestamp,
}

impl Event {
    /// The decisions of its turn, if it has any recorded.
    pub(crate) fn decisions(&self) -> Result<Option<Decisions>, String> {
        self.decided.as_deref().map(Decisions::read).transpose()
    }
}
