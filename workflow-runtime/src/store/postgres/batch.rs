//! A batch as the columns of one statement.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use sqlx::Row as _;
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;

use crate::model::{Event, Item, RunId, WriterId};

type Text<'a> = Cow<'a, str>;

const TEXT: &str = include_str!("../../../sql/commit/batch.postgres.sql");

/// What only some batches need: parts of the statement, by their bits.
const PARTS: [(&str, usize); 5] = [
    ("others", OTHERS),
    ("failures", FAILURES),
    ("rest", REST),
    ("careful", CAREFUL),
    ("successors", SUCCESSORS),
];
/// Items with more than one row.
const OTHERS: usize = 1;
/// Runs that fail, are cancelled or die.
const FAILURES: usize = 2;
/// More than starts, events and ends.
const REST: usize = 4;
/// A row may be in the way of another.
const CAREFUL: usize = 8;
/// Runs that go on as their next generation.
const SUCCESSORS: usize = 16;

/// The statement with each choice of parts.
static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| (0..1 << PARTS.len()).map(text).collect());

/// Without the parts that are not chosen, its parameters numbered without gaps.
fn text(parts: usize) -> String {
    let has = |name: &str| PARTS.iter().any(|(part, bit)| *part == name && parts & bit > 0);
    let mut within = vec![true];
    let lines = TEXT.lines().filter(|line| {
        let line = line.trim_start();
        if let Some(name) = line.strip_prefix("--{") {
            within.push(within.ends_with(&[true]) && has(name));
        } else if line == "--}" {
            within.pop();
        }
        within.ends_with(&[true]) && !line.starts_with("--")
    });
    renumbered(&lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
pub(super) fn texts() -> impl Iterator<Item = &'static str> {
    TEXTS.iter().map(String::as_str)
}

fn renumbered(text: &str) -> String {
    let number = |part: &str| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        (part[..digits].parse::<u32>().unwrap_or(0), digits)
    };
    let used: BTreeSet<u32> = text.split('$').skip(1).map(|part| number(part).0).collect();
    let mut parts = text.split('$');
    let mut renumbered = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let (before, digits) = number(part);
        let now = used.range(..=before).count();
        renumbered.push_str(&format!("${now}{}", &part[digits..]));
    }
    renumbered
}

macro_rules! columns {
    ($(#[$doc:meta])* $name:ident { $($column:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Default)]
        struct $name<'a> {
            $($column: Vec<$kind>,)*
            lives: std::marker::PhantomData<&'a ()>,
        }

        impl<'a> $name<'a> {
            fn bind(self, query: Query<'static, Postgres, PgArguments>) -> Query<'static, Postgres, PgArguments> {
                query$(.bind(self.$column))*
            }
        }
    };
}

columns! {
    Starts {
        run: i64, workflow: &'a str, id: &'a str, args: Text<'a>, seed: i64, decided: Option<Text<'a>>,
        meta: Option<Text<'a>>, created: i64, status: i16, output: Option<Text<'a>>, ended: Option<i64>,
        place: i16,
    }
}
columns! {
    Ends { run: i64, first: i32, obeys: i64, how: i16, output: Text<'a>, at: i64, heard: i64, }
}
columns! {
    /// The first row of each item.
    Firsts {
        run: i64, seq: i32, kind: &'static str, call: Option<i32>, name: &'a str,
        payload: Option<Text<'a>>, decided: Option<Text<'a>>, at: i64, last: bool, ends: bool,
        obeys: i64, heard: i64,
    }
}
columns! {
    /// The other rows.
    Others {
        run: i64, seq: i32, kind: &'static str, call: Option<i32>, name: &'a str,
        payload: Option<Text<'a>>, decided: Option<Text<'a>>, at: i64, last: bool,
    }
}
columns! {
    Rest { run: i64, }
}
columns! {
    Settled { run: i64, call: i32, }
}
columns! {
    Attempts {
        run: i64, call: i32, attempt: i32, error: Text<'a>, retry_at: i64, detail: Option<Text<'a>>,
    }
}
columns! {
    Obeyed { run: i64, obeys: i64, }
}
columns! {
    Unblocked { run: i64, }
}
columns! {
    Aside { run: i64, build: &'a str, report: Text<'a>, at: i64, }
}
columns! {
    Moved {
        run: i64, due: i64, leaves: bool, parks: bool, clears: bool, obeys: i64, heard: i64,
    }
}

columns! {
    Successors {
        run: i64, workflow: &'a str, id: &'a str, args: Text<'a>, seed: i64, meta: Option<Text<'a>>,
        created: i64,
    }
}

/// The columns of a batch.
#[derive(Default)]
pub(super) struct Batch<'a> {
    starts: Starts<'a>,
    ends: Ends<'a>,
    firsts: Firsts<'a>,
    others: Others<'a>,
    rest: Rest<'a>,
    settled: Settled<'a>,
    attempts: Attempts<'a>,
    obeyed: Obeyed<'a>,
    unblocked: Unblocked<'a>,
    aside: Aside<'a>,
    moved: Moved<'a>,
    successors: Successors<'a>,
    /// The parts of the statement that it needs.
    parts: usize,
}

/// Which items went in, by their runs.
pub(super) struct Applied {
    /// The writer was not declared dead.
    pub(super) live: bool,
    pub(super) started: Vec<i64>,
    pub(super) placed: Vec<i64>,
    pub(super) ended: Vec<i64>,
    pub(super) rest: Vec<i64>,
}

/// A text as Postgres takes it: without NUL.
fn clean(text: &str) -> Text<'_> {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}").into() } else { text.into() }
}

fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

impl<'a> Batch<'a> {
    /// Of items in the order of their ids and runs: whoever else writes the
    /// same rows takes their locks in the same order.
    pub(super) fn of(items: &'a [Item], careful: bool) -> Self {
        let mut sorted: Vec<&Item> = items.iter().collect();
        let id = |item: &'a Item| item.start.as_ref().map(|start| &*start.id);
        sorted.sort_unstable_by(|one, other| (id(one), one.run).cmp(&(id(other), other.run)));
        let mut batch = Self { parts: if careful { CAREFUL } else { 0 }, ..Self::default() };
        for item in sorted {
            if item.end.as_ref().is_some_and(|end| end.how.is_failure()) {
                batch.parts |= FAILURES;
            }
            batch.succeed(item);
            match (&item.start, item.events.split_first()) {
                (Some(_), _) => batch.start(item),
                (None, Some((first, others))) => batch.events(item, first, others),
                (None, None) => {
                    batch.parts |= REST;
                    batch.rest.run.push(item.run.0);
                    batch.beside(item);
                }
            }
        }
        batch
    }

    fn start(&mut self, item: &'a Item) {
        let Some(start) = &item.start else { return };
        let columns = &mut self.starts;
        columns.run.push(item.run.0);
        columns.workflow.push(&start.workflow);
        columns.id.push(&start.id);
        columns.args.push(clean(&start.args));
        columns.seed.push(start.seed);
        columns.decided.push(start.decided.as_deref().map(clean));
        columns.meta.push(start.meta.as_deref().map(clean));
        columns.created.push(start.at.as_millis());
        let end = item.end.as_ref();
        columns.status.push(end.map_or(0, |end| small(end.how.code())));
        columns.output.push(end.map(|end| clean(&end.output)));
        columns.ended.push(end.map(|end| end.at.as_millis()));
        columns.place.push(match (start.queued, &item.block) {
            (_, Some(_)) => 2,
            (true, None) => 1,
            (false, None) => 0,
        });
        if item.block.is_some() {
            self.parts |= REST;
            self.set_aside(item);
        }
    }

    fn events(&mut self, item: &'a Item, first: &'a Event, others: &'a [Event]) {
        let (run, ends) = (item.run.0, item.end.is_some());
        let columns = &mut self.firsts;
        columns.run.push(run);
        columns.seq.push(int(first.seq));
        columns.kind.push(first.kind.as_str());
        columns.call.push(first.call.map(|call| int(call.0)));
        columns.name.push(&first.name);
        columns.payload.push(first.payload.as_deref().map(clean));
        columns.decided.push(first.decided.as_deref().map(clean));
        columns.at.push(first.at.as_millis());
        columns.last.push(ends && others.is_empty());
        columns.ends.push(ends);
        columns.obeys.push(item.obeys);
        columns.heard.push(item.heard);
        if !others.is_empty() {
            self.parts |= OTHERS;
        }
        for (n, event) in others.iter().enumerate() {
            let columns = &mut self.others;
            columns.run.push(run);
            columns.seq.push(int(event.seq));
            columns.kind.push(event.kind.as_str());
            columns.call.push(event.call.map(|call| int(call.0)));
            columns.name.push(&event.name);
            columns.payload.push(event.payload.as_deref().map(clean));
            columns.decided.push(event.decided.as_deref().map(clean));
            columns.at.push(event.at.as_millis());
            columns.last.push(ends && n + 1 == others.len());
        }
        if let Some(end) = &item.end {
            let columns = &mut self.ends;
            columns.run.push(run);
            columns.first.push(int(first.seq));
            columns.obeys.push(item.obeys);
            columns.how.push(small(end.how.code()));
            columns.output.push(clean(&end.output));
            columns.at.push(end.at.as_millis());
            columns.heard.push(item.heard);
        }
        self.beside(item);
    }

    fn succeed(&mut self, item: &'a Item) {
        let Some(next) = &item.successor else { return };
        self.parts |= SUCCESSORS;
        let columns = &mut self.successors;
        columns.run.push(item.run.0);
        columns.workflow.push(&next.workflow);
        columns.id.push(&next.id);
        columns.args.push(clean(&next.args));
        columns.seed.push(next.seed);
        columns.meta.push(next.meta.as_deref().map(clean));
        columns.created.push(next.at.as_millis());
    }

    /// What an item says beside its rows.
    fn beside(&mut self, item: &'a Item) {
        let run = item.run.0;
        for call in &item.settled {
            self.settled.run.push(run);
            self.settled.call.push(int(call.0));
        }
        if item.obeys > 0 {
            self.obeyed.run.push(run);
            self.obeyed.obeys.push(item.obeys);
        }
        if item.unblock {
            self.unblocked.run.push(run);
        }
        if !item.settled.is_empty() || item.obeys > 0 || item.unblock {
            self.parts |= REST;
        }
        if item.end.is_some() {
            return;
        }
        for record in &item.attempts {
            let columns = &mut self.attempts;
            columns.run.push(run);
            columns.call.push(int(record.call.0));
            columns.attempt.push(int(record.failed));
            columns.error.push(clean(&record.error));
            columns.retry_at.push(record.retry_at.as_millis());
            columns.detail.push(record.detail.as_deref().map(clean));
            self.parts |= REST;
        }
        self.set_aside(item);
        let leaves = item.park.or(item.block.as_ref().map(|_| crate::clock::Timestamp::NEVER));
        if leaves.is_some() || item.progress || item.obeys > 0 {
            let columns = &mut self.moved;
            columns.run.push(run);
            columns.due.push(leaves.map_or(0, crate::clock::Timestamp::as_millis));
            columns.leaves.push(leaves.is_some());
            columns.parks.push(item.park.is_some());
            columns.clears.push(item.progress);
            columns.obeys.push(item.obeys);
            columns.heard.push(item.heard);
            self.parts |= REST;
        }
    }

    fn set_aside(&mut self, item: &'a Item) {
        if let Some(block) = &item.block {
            self.parts |= REST;
            let columns = &mut self.aside;
            columns.run.push(item.run.0);
            columns.build.push(&block.build);
            columns.report.push(clean(&block.report));
            columns.at.push(block.at.as_millis());
        }
    }

    /// The statement, with its parameters.
    pub(super) fn statement(
        self,
        writer: WriterId,
        lane: i16,
    ) -> Query<'static, Postgres, PgArguments> {
        let text: &'static str = &TEXTS[self.parts];
        let query = sqlx::query(text).bind(writer.0).bind(lane);
        let mut query = self.firsts.bind(self.ends.bind(self.starts.bind(query)));
        if self.parts & OTHERS > 0 {
            query = self.others.bind(query);
        }
        if self.parts & REST > 0 {
            query = self.attempts.bind(self.settled.bind(self.rest.bind(query)));
            query = self.aside.bind(self.unblocked.bind(self.obeyed.bind(query)));
            query = self.moved.bind(query);
        }
        if self.parts & SUCCESSORS > 0 {
            query = self.successors.bind(query);
        }
        query
    }
}

fn small(code: i64) -> i16 {
    i16::try_from(code).unwrap_or(i16::MAX)
}

impl Applied {
    pub(super) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            live: row.try_get("live")?,
            started: row.try_get("started")?,
            placed: row.try_get("placed")?,
            ended: row.try_get("ended")?,
            rest: match row.try_get("rest") {
                // There are no such items.
                Err(sqlx::Error::ColumnNotFound(_)) => Vec::new(),
                rest => rest?,
            },
        })
    }

    /// In order, to be searched.
    pub(super) fn sorted(mut self) -> Self {
        for list in [&mut self.started, &mut self.placed, &mut self.ended, &mut self.rest] {
            list.sort_unstable();
        }
        self
    }
}

pub(super) fn has(list: &[i64], run: RunId) -> bool {
    list.binary_search(&run.0).is_ok()
}
