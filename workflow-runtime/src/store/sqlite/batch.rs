//! A batch as one text of many statements: one hop to the thread that owns the
//! connection, whatever the batch holds.
//!
//! Each section has its rows as `VALUES`, padded with rows of nulls to a power
//! of two, so that few texts exist and each is prepared once.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::Encode;
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{Arguments as _, Type};

use crate::model::{Event, Item};

/// Most rows of one statement: with 11 columns far below SQLite's limit of
/// 32,766 parameters.
const BLOCK: usize = 512;

/// The parts of a batch, in the order in which they are applied.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Section {
    Start,
    Activate,
    Append,
    Extend,
    Settle,
    Attempt,
    Unblock,
    Block,
    Park,
    End,
    Leave,
    Forget,
}

const SECTIONS: [Section; 12] = [
    Section::Start,
    Section::Activate,
    Section::Append,
    Section::Extend,
    Section::Settle,
    Section::Attempt,
    Section::Unblock,
    Section::Block,
    Section::Park,
    Section::End,
    Section::Leave,
    Section::Forget,
];

impl Section {
    fn text(self) -> &'static str {
        match self {
            Self::Start => include_str!("../../../sql/batch/start.sqlite.sql"),
            Self::Activate => include_str!("../../../sql/batch/activate.sqlite.sql"),
            Self::Append => include_str!("../../../sql/batch/append.sqlite.sql"),
            Self::Extend => include_str!("../../../sql/batch/extend.sqlite.sql"),
            Self::Settle => include_str!("../../../sql/batch/settle.sqlite.sql"),
            Self::Attempt => include_str!("../../../sql/batch/attempt.sqlite.sql"),
            Self::Unblock => include_str!("../../../sql/batch/unblock.sqlite.sql"),
            Self::Block => include_str!("../../../sql/batch/block.sqlite.sql"),
            Self::Park => include_str!("../../../sql/batch/park.sqlite.sql"),
            Self::End => include_str!("../../../sql/batch/end.sqlite.sql"),
            Self::Leave => include_str!("../../../sql/batch/leave.sqlite.sql"),
            Self::Forget => include_str!("../../../sql/batch/forget.sqlite.sql"),
        }
    }

    fn columns(self) -> usize {
        match self {
            Self::Start => 11,
            Self::Append => 9,
            Self::Extend => 10,
            Self::Attempt => 7,
            Self::Block | Self::End => 6,
            Self::Settle | Self::Park => 4,
            Self::Activate | Self::Unblock => 3,
            Self::Leave | Self::Forget => 1,
        }
    }

    /// Whether a section that changes fewer rows than it has means that some
    /// item did not go in. The others delete what may not be there.
    pub(super) fn is_counted(self) -> bool {
        !matches!(self, Self::Settle | Self::Unblock | Self::Leave | Self::Forget)
    }
}

/// Rows per section.
type Shape = [usize; SECTIONS.len()];

/// The texts of the shapes seen so far.
#[derive(Debug, Default)]
pub(super) struct Texts(BTreeMap<Shape, Arc<str>>);

/// More shapes than this are not kept: each holds prepared statements.
const MAX_TEXTS: usize = 512;

/// A batch, ready to be executed.
pub(super) struct Batch {
    pub(super) text: Arc<str>,
    pub(super) arguments: SqliteArguments,
    /// For each statement between `begin` and `commit`: its section, and how
    /// many rows it has to change.
    pub(super) statements: Vec<(Section, u64)>,
}

/// Builds the batch of `items`.
pub(super) fn build(texts: &mut Texts, items: &[Item]) -> Result<Batch, sqlx::error::BoxDynError> {
    let mut rows = Rows { arguments: SqliteArguments::default(), error: None };
    let mut shape = Shape::default();
    let mut statements = Vec::with_capacity(8);
    for (section, slot) in SECTIONS.into_iter().zip(&mut shape) {
        let count: usize = items.iter().map(|item| rows.bind(section, item)).sum();
        if count == 0 {
            continue;
        }
        let padded = count.next_power_of_two();
        rows.pad((padded - count) * section.columns());
        *slot = padded;
        let counts = (0..padded).step_by(BLOCK).map(|from| {
            let real = count.saturating_sub(from).min(BLOCK);
            (section, u64::try_from(real).unwrap_or(u64::MAX))
        });
        statements.extend(counts);
    }
    match rows.error {
        Some(error) => Err(error),
        None => Ok(Batch { text: texts.get(shape), arguments: rows.arguments, statements }),
    }
}

impl Texts {
    fn get(&mut self, shape: Shape) -> Arc<str> {
        if self.0.len() >= MAX_TEXTS && !self.0.contains_key(&shape) {
            self.0.clear();
        }
        Arc::clone(self.0.entry(shape).or_insert_with(|| text(shape).into()))
    }
}

/// What the sections that come with other rows ask first.
const ACCEPTED: &str = include_str!("../../../sql/batch/accepted.sqlite.sql");

fn text(shape: Shape) -> String {
    let mut text = String::from("begin immediate;\n");
    for (section, rows) in SECTIONS.into_iter().zip(shape) {
        let row = format!("({})", vec!["?"; section.columns()].join(","));
        for from in (0..rows).step_by(BLOCK) {
            let values = vec![row.as_str(); BLOCK.min(rows - from)].join(",");
            text.push_str(
                &section.text().replace("{rows}", &values).replace("{accepted}", ACCEPTED),
            );
            text.push_str(";\n");
        }
    }
    text.push_str("commit");
    text
}

/// The parameters of a batch, in order.
struct Rows {
    arguments: SqliteArguments,
    error: Option<sqlx::error::BoxDynError>,
}

impl Rows {
    fn add<'q, T: Encode<'q, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> &mut Self {
        if let Err(error) = self.arguments.add(value) {
            self.error.get_or_insert(error);
        }
        self
    }

    fn pad(&mut self, nulls: usize) {
        for _ in 0..nulls {
            self.add(None::<i64>);
        }
    }

    /// Adds what `item` has of a section; returns how many rows that is.
    fn bind(&mut self, section: Section, item: &Item) -> usize {
        match section {
            Section::Start => self.start(item),
            Section::Activate => self.activate(item),
            Section::Append => self.append(item),
            Section::Extend => self.extend(item),
            Section::End => self.end(item),
            Section::Leave | Section::Forget => self.leave(item),
            Section::Settle => self.settle(item),
            Section::Attempt => self.attempts(item),
            Section::Unblock => self.unblock(item),
            Section::Block => self.block(item),
            Section::Park => self.park(item),
        }
    }

    fn start(&mut self, item: &Item) -> usize {
        let Some(start) = &item.start else { return 0 };
        let end = item.end.as_ref();
        self.add(item.run.0)
            .add(Arc::clone(&start.workflow))
            .add(Arc::clone(&start.id))
            .add(Arc::clone(&start.args))
            .add(start.seed)
            .add(start.decided.clone())
            .add(item.writer.0)
            .add(start.at.as_millis())
            .add(end.map_or(0, |end| status(end.ok)))
            .add(end.map(|end| Arc::clone(&end.output)))
            .add(end.map(|end| end.at.as_millis()));
        1
    }

    fn activate(&mut self, item: &Item) -> usize {
        let Some(start) = item.start.as_ref().filter(|_| item.end.is_none()) else { return 0 };
        self.add(item.run.0).add(item.writer.0).add(start.at.as_millis());
        1
    }

    fn event(&mut self, item: &Item, event: &Event) -> &mut Self {
        self.add(item.run.0)
            .add(i64::from(event.seq))
            .add(event.kind.as_str())
            .add(event.call.map(|call| i64::from(call.0)))
            .add(Arc::clone(&event.name))
            .add(event.payload.clone())
            .add(event.decided.clone())
            .add(event.writer.0)
            .add(event.at.as_millis())
    }

    fn append(&mut self, item: &Item) -> usize {
        let Some(first) = item.events.first() else { return 0 };
        self.event(item, first);
        1
    }

    fn extend(&mut self, item: &Item) -> usize {
        let Some((first, rest)) = item.events.split_first() else { return 0 };
        for event in rest {
            self.event(item, event).add(i64::from(first.seq));
        }
        rest.len()
    }

    /// The columns by which a row joins the first row of its item.
    fn accepted(&mut self, item: &Item) -> &mut Self {
        let first = item.events.first().map(|event| i64::from(event.seq));
        self.add(item.run.0).add(item.writer.0).add(first)
    }

    fn end(&mut self, item: &Item) -> usize {
        let Some(end) = item.end.as_ref().filter(|_| item.start.is_none()) else { return 0 };
        self.accepted(item)
            .add(status(end.ok))
            .add(Arc::clone(&end.output))
            .add(end.at.as_millis());
        1
    }

    fn leave(&mut self, item: &Item) -> usize {
        if item.end.is_none() || item.start.is_some() {
            return 0;
        }
        self.add(item.run.0);
        1
    }

    fn settle(&mut self, item: &Item) -> usize {
        for call in &item.settled {
            self.accepted(item).add(i64::from(call.0));
        }
        item.settled.len()
    }

    fn attempts(&mut self, item: &Item) -> usize {
        for failed in &item.failed_attempts {
            self.accepted(item)
                .add(i64::from(failed.call.0))
                .add(i64::from(failed.attempt))
                .add(Arc::clone(&failed.error))
                .add(failed.retry_at.as_millis());
        }
        item.failed_attempts.len()
    }

    fn unblock(&mut self, item: &Item) -> usize {
        if item.unblock {
            self.accepted(item);
        }
        usize::from(item.unblock)
    }

    fn block(&mut self, item: &Item) -> usize {
        let Some(block) = &item.block else { return 0 };
        self.accepted(item)
            .add(Arc::clone(&block.build))
            .add(Arc::clone(&block.report))
            .add(block.at.as_millis());
        1
    }

    fn park(&mut self, item: &Item) -> usize {
        let blocked = item.block.as_ref().map(|_| crate::clock::Timestamp::NEVER);
        let Some(due) = item.park.or(blocked) else { return 0 };
        self.accepted(item).add(due.as_millis());
        1
    }
}

fn status(ok: bool) -> i64 {
    if ok { 1 } else { 2 }
}
