//! Plain facts: ids, calls, events, decisions, items, policies. No I/O and no
//! `async`; what is decided about them is decided elsewhere.

mod blocked;
mod command;
mod decision;
mod definition;
mod event;
mod file;
mod filter;
mod history;
mod id;
mod item;
mod mail;
mod meta;
mod mismatch;
mod retry;
mod status;

pub use blocked::{Blocked, BlockedKind};
pub(crate) use command::{Command, CommandKind, Commanded};
pub(crate) use decision::{Args, CallKind, Decision, Decisions};
pub(crate) use definition::Successor;
pub use definition::{
    AttemptFailure, Encoded, Limits, MismatchPolicy, Named, StepDefinition, StepFuture,
    StepOutcome, StepRun, WorkflowBegin, WorkflowDefinition, WorkflowFuture,
};
pub(crate) use event::{Event, EventKind};
pub(crate) use file::HistoryFile;
pub(crate) use filter::RunQuery;
pub use filter::{DeadLetter, RunSummary};
pub use history::{History, HistoryEvent};
pub(crate) use id::{CallId, MAX_ID, RunId, WriterId, check_id};
pub(crate) use item::{
    Answer, AttemptRecord, Block, End, Ended, Item, OpenRun, RunRecord, Start, StoredRun,
};
pub(crate) use mail::{
    AllNews, Asker, Mail, MailKind, News, Post, Shown, Traffic, Undelivered, request_body,
};
pub(crate) use meta::{read_meta, write_meta};
pub use mismatch::{CallText, ComparedCall, Mismatch, MismatchCause};
pub use retry::RetryPolicy;
pub use status::Status;
