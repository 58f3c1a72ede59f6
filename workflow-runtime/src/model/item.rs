//! What one run wants written, atomically, and what the store answers.

use std::sync::Arc;

use super::{CallId, Command, Event, Mail, RunId, Status, Traffic, Undelivered, WriterId};
use crate::clock::Timestamp;

/// What one run wants committed together. Sent again after a lost reply it is
/// in the store once.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) run: RunId,
    pub(crate) writer: WriterId,
    /// Creates the run. Refused if its workflow id is taken.
    pub(crate) start: Option<Box<Start>>,
    /// Consecutive rows. Refused if the row before the first is missing or the
    /// first is there from another writer.
    pub(crate) events: Vec<Event>,
    /// What is known of attempts of calls that have no result yet.
    pub(crate) attempts: Vec<AttemptRecord>,
    /// Calls whose attempts can be forgotten: their result is among `events`,
    /// or nobody waits for it.
    pub(crate) settled: Vec<CallId>,
    pub(crate) end: Option<End>,
    /// The next generation of the run, where the end makes one: queued, under the
    /// same workflow id and a number that the store gives it.
    pub(crate) successor: Option<Box<Start>>,
    /// The run leaves memory and is due again then.
    pub(crate) park: Option<Timestamp>,
    /// The run is set aside.
    pub(crate) block: Option<Box<Block>>,
    /// What set it aside before is over.
    pub(crate) unblock: bool,
    /// The last command that its events know of; 0 if they know of none.
    pub(crate) obeys: i64,
    /// It got further than when it was claimed: it is suspected no more.
    pub(crate) progress: bool,
    /// What it asks of others, and what it took of theirs.
    pub(crate) traffic: Option<Box<Traffic>>,
    /// The same of the turn that ends it: nothing of it, if the run does not end.
    pub(crate) last_traffic: Option<Box<Traffic>>,
    /// How many messages for it its memory knows of.
    pub(crate) heard: i64,
    /// Whose child it is: told of the end in the same commit.
    pub(crate) parent: Option<RunId>,
}

/// A new run.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) workflow: Arc<str>,
    /// The user's name for the run.
    pub(crate) id: Arc<str>,
    /// JSON list.
    pub(crate) args: Arc<str>,
    pub(crate) seed: i64,
    /// JSON: what the first turn decided; none if it has not run.
    pub(crate) decided: Option<Arc<str>>,
    /// JSON map of texts.
    pub(crate) meta: Option<Arc<str>>,
    /// The run that waits for it, and its call.
    pub(crate) parent: Option<(RunId, CallId)>,
    /// Nobody has it in hand: whoever claims it runs it.
    pub(crate) queued: bool,
    pub(crate) at: Timestamp,
}

/// The end of a run.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) how: Ended,
    /// JSON: the result.
    pub(crate) output: Arc<str>,
    pub(crate) at: Timestamp,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    /// With `Ok`.
    Completed,
    /// With `Err`.
    Failed,
    /// By a cancellation.
    Cancelled,
    /// It brought its process down too often.
    Dead,
    /// By a restart: the next generation goes on.
    Continued,
}

impl Ended {
    #[cfg(any(feature = "postgres", feature = "sqlite", feature = "testing"))]
    pub(crate) const ALL: [Self; 5] =
        [Self::Completed, Self::Failed, Self::Cancelled, Self::Dead, Self::Continued];

    /// Whether people have to look at it.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_failure(self) -> bool {
        self.status().is_failure()
    }

    /// As stored; 0 is an open run.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn code(self) -> i64 {
        match self {
            Self::Completed => 1,
            Self::Failed => 2,
            Self::Cancelled => 3,
            Self::Dead => 4,
            Self::Continued => 5,
        }
    }

    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|how| how.code() == code)
    }

    pub(crate) fn status(self) -> Status {
        match self {
            Self::Completed => Status::Completed,
            Self::Failed => Status::Failed,
            Self::Cancelled => Status::Cancelled,
            Self::Dead => Status::Dead,
            Self::Continued => Status::Continued,
        }
    }
}

impl End {
    /// Whether it is the end of the whole, and not of one generation.
    pub(crate) fn is_last(&self) -> bool {
        self.how != Ended::Continued
    }
}

/// Why a run is set aside.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// The build that cannot go on with it.
    pub(crate) build: Arc<str>,
    /// JSON of a `Blocked`.
    pub(crate) report: Arc<str>,
    pub(crate) at: Timestamp,
}

/// What is known of the attempts of a step that has no result yet: some failed,
/// or it left a heartbeat, or it may run once only and was begun.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AttemptRecord {
    pub(crate) call: CallId,
    /// How many failed.
    pub(crate) failed: u32,
    /// Of the last that failed.
    pub(crate) error: Arc<str>,
    /// When the next one starts.
    pub(crate) retry_at: Timestamp,
    /// JSON: what the step said last with its heartbeat.
    pub(crate) detail: Option<Arc<str>>,
}

impl AttemptRecord {
    pub(crate) fn new(call: CallId) -> Self {
        let retry_at = Timestamp::default();
        Self { call, failed: 0, error: Arc::default(), retry_at, detail: None }
    }
}

impl Item {
    pub(crate) fn new(run: RunId, writer: WriterId) -> Self {
        Self {
            run,
            writer,
            start: None,
            events: Vec::new(),
            attempts: Vec::new(),
            settled: Vec::new(),
            end: None,
            successor: None,
            park: None,
            block: None,
            unblock: false,
            obeys: 0,
            progress: false,
            traffic: None,
            last_traffic: None,
            heard: 0,
            parent: None,
        }
    }

    /// Everything it asks of others, if it goes in whole.
    pub(crate) fn all_traffic(&self) -> impl Iterator<Item = &Traffic> + Clone {
        self.traffic.iter().chain(&self.last_traffic).map(|traffic| &**traffic)
    }

    /// What it asks of others if it was answered so.
    pub(crate) fn traffic_of(&self, answer: &Answer) -> impl Iterator<Item = &Traffic> {
        let some = matches!(answer, Answer::Committed | Answer::NotEnded);
        let all = *answer == Answer::Committed;
        let traffic = self.traffic.iter().filter(move |_| some);
        traffic.chain(self.last_traffic.iter().filter(move |_| all)).map(|traffic| &**traffic)
    }

    /// When it happened, as far as it says.
    pub(crate) fn at(&self) -> Timestamp {
        let start = self.start.as_ref().map(|start| start.at);
        self.events.last().map(|event| event.at).or(start).unwrap_or_default()
    }

    /// The row whose turn ended the run, if it is one of an item that ends it.
    pub(crate) fn delivered_end(&self) -> Option<u32> {
        let last = self.events.last().filter(|last| last.decided.is_some());
        self.end.as_ref().and(last).map(|last| last.seq)
    }

    /// Bytes of text it carries.
    pub(crate) fn weight(&self) -> usize {
        self.texts().map(|text| text.len()).sum()
    }

    /// Bytes of its largest text.
    pub(crate) fn largest(&self) -> usize {
        self.texts().map(|text| text.len()).max().unwrap_or(0)
    }

    fn texts(&self) -> impl Iterator<Item = &Arc<str>> {
        let traffic = self.all_traffic();
        let children = traffic.clone().flat_map(|all| all.children.iter().map(|(_, start)| start));
        let posts = traffic.flat_map(|all| all.posts.iter().map(|(_, post)| &post.body));
        let starts = self.start.iter().chain(&self.successor).map(|start| &**start);
        let starts = starts.chain(children).flat_map(|start| {
            let (decided, meta) = (start.decided.as_ref(), start.meta.as_ref());
            [Some(&start.id), Some(&start.args), decided, meta].into_iter().flatten()
        });
        let events = self.events.iter();
        let events = events.flat_map(|event| event.payload.iter().chain(&event.decided));
        let attempts = self.attempts.iter();
        let attempts = attempts.flat_map(|record| record.detail.iter().chain([&record.error]));
        let ends = self.end.iter().map(|end| &end.output);
        let blocks = self.block.iter().map(|block| &block.report);
        starts.chain(events).chain(attempts).chain(ends).chain(blocks).chain(posts)
    }
}

/// What became of an item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// It is durable, by this or an earlier sending.
    Committed,
    /// The workflow id of the start belongs to this run.
    Taken(RunId),
    /// The number of the start belongs to another run: the store forgot that it
    /// had given it.
    Used,
    /// Another writer was first, or the run has ended.
    Conflict,
    /// The row before its first is not there: the store forgot something that
    /// it had acknowledged.
    MissingPredecessor,
    /// Its events are durable, and it did not end the run: somebody asked for
    /// its cancellation before. The last event is not delivered. Since then the
    /// run may have ended otherwise.
    NotEnded,
    /// It can never be stored; the reason.
    Refused(String),
    /// It is durable, except what these calls ask of others.
    Undelivered(Vec<(CallId, Undelivered)>),
}

/// One run as the store has it, without its history.
#[derive(Clone, Debug)]
pub(crate) struct RunRecord {
    pub(crate) run: RunId,
    pub(crate) workflow: Arc<str>,
    pub(crate) id: Arc<str>,
    pub(crate) args: Arc<str>,
    pub(crate) seed: i64,
    pub(crate) decided: Option<Arc<str>>,
    pub(crate) meta: Option<Arc<str>>,
    /// The run that waits for it, and its call.
    pub(crate) parent: Option<(RunId, CallId)>,
    /// From 1; a restart begins the next.
    pub(crate) generation: u32,
    pub(crate) created: Timestamp,
    pub(crate) end: Option<End>,
    pub(crate) open: Option<OpenRun>,
}

impl RunRecord {
    pub(crate) fn is_owned_by(&self, writer: WriterId) -> bool {
        self.open.as_ref().is_some_and(|open| open.owner == Some(writer))
    }

    /// Where it stands.
    pub(crate) fn status(&self) -> Status {
        match (&self.end, &self.open) {
            (Some(end), _) => end.how.status(),
            (None, Some(open)) if open.blocked.is_some() => Status::Blocked,
            (None, Some(open)) if open.owner.is_some() => Status::Running,
            (None, Some(open)) if open.due > self.created => Status::Waiting,
            (None, _) => Status::Queued,
        }
    }
}

/// What is known of a run only while it is open.
#[derive(Clone, Debug)]
pub(crate) struct OpenRun {
    pub(crate) due: Timestamp,
    /// Who has it in hand.
    pub(crate) owner: Option<WriterId>,
    /// How often it was claimed since it last got further.
    pub(crate) claims: u32,
    /// JSON of a `Blocked`, if it is set aside.
    pub(crate) blocked: Option<Arc<str>>,
    /// How many messages have come for it, ever.
    pub(crate) mail: i64,
}

/// One open run with everything needed to go on with it.
#[derive(Clone, Debug)]
pub(crate) struct StoredRun {
    pub(crate) record: RunRecord,
    pub(crate) history: Vec<Event>,
    pub(crate) attempts: Vec<AttemptRecord>,
    /// Cancellations that are not in the history yet, oldest first.
    pub(crate) cancels: Vec<Command>,
    /// Messages that it has not taken, oldest first.
    pub(crate) mail: Vec<Mail>,
}

impl StoredRun {
    /// A run as far as a replay needs it.
    pub(crate) fn read_back(record: RunRecord, history: Vec<Event>) -> Self {
        let (attempts, cancels, mail) = (Vec::new(), Vec::new(), Vec::new());
        Self { record, history, attempts, cancels, mail }
    }
}
