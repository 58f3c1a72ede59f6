//! Why a run cannot go on: every reason to set it aside, and its report.

use std::fmt::{self, Write as _};
use std::panic::Location;

use crate::clock::Timestamp;
use crate::model::{Blocked, BlockedKind, CallId, Mismatch};
use crate::panics::Panic;
use crate::text::cut;

/// Why a run cannot go on with this code.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    Mismatch(Box<Mismatch>),
    Panicked(Panic),
    ForeignAwait(Places),
    ForeignWake(Places),
    BusyLoop,
    /// A turn did not return.
    StuckTurn,
    /// A stored value is not of the type the code reads.
    Undecodable {
        what: String,
        error: String,
    },
    /// Rows that no version of the code could have written.
    Corrupt(String),
    /// An outcome for a call that was never made.
    UnknownCall(CallId),
    AnsweredTwice(CallId),
    /// The store can never take what the run wants to write.
    Refused(String),
    /// The program has no workflow of that name.
    Unregistered,
    /// The instance was polled after it was taken apart.
    Gone,
}

/// Where `assume_durable` stands that is waited for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Places(pub(super) Vec<&'static Location<'static>>);

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, place) in self.0.iter().enumerate() {
            let word = if n == 0 { ": `assume_durable` at" } else { " and" };
            write!(f, "{word} {place}")?;
        }
        Ok(())
    }
}

/// Longest report, in bytes.
const MAX_REPORT: usize = 64 * 1024;

impl Fault {
    pub(crate) fn kind(&self) -> BlockedKind {
        match self {
            Self::Mismatch(_) => BlockedKind::Mismatch,
            Self::Panicked(_) | Self::Gone => BlockedKind::Panicked,
            Self::ForeignAwait(_) | Self::ForeignWake(_) => BlockedKind::ForeignAwait,
            Self::BusyLoop | Self::StuckTurn => BlockedKind::BusyLoop,
            Self::Undecodable { .. } => BlockedKind::Undecodable,
            Self::Corrupt(_) | Self::UnknownCall(_) | Self::AnsweredTwice(_) => {
                BlockedKind::Corrupt
            }
            Self::Refused(_) => BlockedKind::Unstorable,
            Self::Unregistered => BlockedKind::Unregistered,
        }
    }

    /// The report of it.
    pub(crate) fn report(&self, workflow: &str, id: &str, build: &str, at: Timestamp) -> Blocked {
        let mut text = format!("workflow `{workflow}` (run {id}) is blocked: ");
        self.describe(&mut text);
        let mut text = cut(&text, MAX_REPORT).into_owned();
        text.push_str(
            "\n  Its history is as it was. It goes on when a build that can continue it starts.",
        );
        let blocked = Blocked::new(self.kind(), text, build, at);
        match self.mismatch() {
            Some(mismatch) => blocked.with(mismatch.clone()),
            None => blocked,
        }
    }

    /// Both sides, if code and history disagree.
    pub(super) fn mismatch(&self) -> Option<&Mismatch> {
        if let Self::Mismatch(mismatch) = self { Some(mismatch) } else { None }
    }

    /// What is wrong, without a run.
    pub(crate) fn explain(&self) -> String {
        let mut text = String::new();
        self.describe(&mut text);
        text
    }

    fn describe(&self, text: &mut String) {
        let written = match self {
            Self::Mismatch(mismatch) => write!(text, "{mismatch}"),
            Self::Panicked(panic) => write!(
                text,
                "its code {panic}\n  A panic is no outcome: mend the code and deploy it."
            ),
            Self::ForeignAwait(places) => write!(
                text,
                "it awaits something that nothing durable can wake{places}\n  \
                 Outside a step nothing may wait on timers, sockets, tasks or other threads: \
                 after a crash the wait would be lost.\n  \
                 Use `workflow::sleep`, and do I/O in a `#[step]`."
            ),
            Self::ForeignWake(places) => write!(
                text,
                "something outside the workflow woke it{places}\n  \
                 A replay cannot repeat that. Await only steps and timers of the workflow; \
                 do I/O, and wait for tasks and threads, in a `#[step]`."
            ),
            Self::BusyLoop => write!(
                text,
                "it wakes itself without end and never waits for a step or timer\n  \
                 To wait for something, use `workflow::sleep` in the loop."
            ),
            Self::StuckTurn => write!(
                text,
                "its code does not return from a turn: it blocks its thread or runs without end\n  \
                 Between two awaits a workflow only computes. Do what takes long, and what \
                 blocks, in a `#[step]`."
            ),
            Self::Undecodable { what, error } => write!(
                text,
                "{what} cannot be read: {error}\n  \
                 The stored value is of another type than this code expects. Read the old form \
                 too (serde's `default`, `alias`, `untagged`), and deploy that."
            ),
            Self::Corrupt(what) => write!(text, "its stored rows are damaged: {what}"),
            Self::UnknownCall(call) => {
                write!(text, "its stored rows answer call {call}, which was never made")
            }
            Self::AnsweredTwice(call) => {
                write!(text, "its stored rows answer call {call} twice")
            }
            Self::Refused(reason) => write!(text, "the store refuses what it writes: {reason}"),
            Self::Unregistered => write!(
                text,
                "this program has no workflow of its name\n  \
                 Bring it back; if it was renamed, say so: `#[workflow(was = \"old_name\")]`."
            ),
            Self::Gone => write!(text, "its instance was taken apart while it ran"),
        };
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    }
}
