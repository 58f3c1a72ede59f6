//! What the database acknowledged to this process last. A database that forgot
//! it – a standby that took over before it had everything, an older backup – is
//! found out on the first connection to it, before anything is written.
//!
//! A database forgets from a moment on: if it has what it acknowledged last, it
//! has everything.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::Row as _;

use super::ask;
use super::link::{Connection, Link, Shape};
use crate::clock::Moment;
use crate::model::{Answer, Item, RunId, WriterId};
use crate::store::Pulse;

macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!("../../../sql/query/", $name, ".postgres.sql"))
    };
}

/// Commits that are remembered, of those since the last sign of life: it was
/// acknowledged, too, and after all that came before.
const LAST: usize = 16;
/// Who shows no signs of life remembers commits for so long: later a run may
/// have ended and been deleted.
const FRESH: Duration = Duration::from_secs(600);

/// What was acknowledged to this process.
pub(super) struct Memory {
    pub(super) pulse: Arc<Pulse>,
    /// This process runs workflows, and has in memory what it wrote.
    is_worker: bool,
    known: Mutex<Known>,
    /// One looks at a time.
    looking: tokio::sync::Mutex<()>,
    is_empty: AtomicBool,
}

#[derive(Default)]
struct Known {
    /// All run numbers below were given.
    numbers: i64,
    /// The last sign of life.
    beat: Option<(WriterId, i64)>,
    marks: VecDeque<Mark>,
    /// Writers whose lanes are there.
    writers: BTreeSet<WriterId>,
    /// Writers that are over, because what they knew was forgotten.
    over: BTreeSet<WriterId>,
}

/// One item of a commit.
#[derive(Clone, Debug)]
struct Mark {
    run: RunId,
    /// Of a start.
    id: Option<Arc<str>>,
    /// Its last row. None: it has none.
    seq: Option<u32>,
    ends: bool,
    at: Moment,
}

impl Memory {
    pub(super) fn new(pulse: Arc<Pulse>, is_worker: bool) -> Self {
        let (known, looking) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { pulse, is_worker, known, looking, is_empty: AtomicBool::new(true) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers below `next` were given.
    pub(super) fn reserved(&self, next: i64) {
        let mut known = self.known();
        known.numbers = known.numbers.max(next);
        self.is_empty.store(false, Ordering::Release);
    }

    /// Items were answered.
    pub(super) fn acknowledged(&self, items: &[Item], answers: &[Answer]) {
        let mut sent = items.iter().zip(answers).rev();
        let last = sent.find(|(item, answer)| {
            **answer == Answer::Committed && (item.start.is_some() || !item.events.is_empty())
        });
        let Some((item, _)) = last else { return };
        let mut known = self.known();
        if known.over.contains(&item.writer) {
            return;
        }
        if known.marks.len() == LAST {
            known.marks.pop_front();
        }
        known.marks.push_back(Mark {
            run: item.run,
            id: item.start.as_ref().map(|start| Arc::clone(&start.id)),
            seq: item.events.last().map(|event| event.seq),
            ends: item.end.is_some(),
            at: Moment::now(),
        });
        self.is_empty.store(false, Ordering::Release);
    }

    /// A sign of life that was sent at that moment.
    pub(super) fn lives(&self, writer: WriterId, beat: i64, sent: Moment) {
        let mut known = self.known();
        known.beat = Some((writer, beat));
        known.marks.retain(|mark| sent.since(mark.at).is_zero());
        self.is_empty.store(false, Ordering::Release);
    }

    /// Whether the lanes of a writer are there. None: it is over.
    pub(super) fn has_lanes(&self, writer: WriterId) -> Option<bool> {
        let known = self.known();
        (!known.over.contains(&writer)).then(|| known.writers.contains(&writer))
    }

    /// The lanes of a writer are there.
    pub(super) fn made_lanes(&self, writer: WriterId) {
        self.known().writers.insert(writer);
    }

    /// The lanes of a writer are not there any more.
    pub(super) fn lost_lanes(&self, writer: WriterId) {
        self.known().writers.remove(&writer);
    }

    pub(super) fn writers(&self) -> Vec<i64> {
        self.known().writers.iter().map(|writer| writer.0).collect()
    }

    /// Compares with what the database has. If something is not there it is told
    /// to whoever reads the log, the writers of this process are over, and what
    /// the database has is what counts.
    pub(super) async fn compare(&self, link: &mut Link) -> Result<(), sqlx::Error> {
        if self.is_empty.load(Ordering::Acquire) {
            return Ok(());
        }
        let _one = self.looking.lock().await;
        let (numbers, beat, marks) = {
            let (known, now) = (self.known(), Moment::now());
            let fresh = known.marks.iter().filter(|mark| now.since(mark.at) < FRESH);
            (known.numbers, known.beat, fresh.cloned().collect::<Vec<_>>())
        };
        let asked = marks.clone();
        let look = link.ask(Shape::Single, ask!(c => look(c, numbers, beat, asked).await));
        let (forgot, forgotten) = look.await?;
        if !forgot {
            return Ok(());
        }
        let writers = if self.is_worker { self.writers() } else { Vec::new() };
        let over = writers.clone();
        link.ask(Shape::Whole, ask!(c => accept(c, numbers, over).await)).await?;
        self.told(&forgotten, marks.len());
        let mut known = self.known();
        (known.beat, known.marks) = (None, VecDeque::new());
        known.over.extend(writers.into_iter().map(WriterId));
        known.writers.clear();
        Ok(())
    }

    fn told(&self, forgotten: &[Mark], of: usize) {
        let mut what = String::new();
        for mark in forgotten {
            let separator = if what.is_empty() { "" } else { ", " };
            // Writing to a text cannot fail.
            let _written = match (&mark.id, mark.seq) {
                (Some(id), _) => write!(what, "{separator}the start of `{id}`"),
                (None, Some(seq)) => write!(what, "{separator}event {seq} of run {}", mark.run),
                (None, None) => Ok(()),
            };
        }
        self.pulse.forgot();
        tracing::error!(
            forgotten = forgotten.len(),
            of,
            "THE DATABASE FORGOT WHAT IT HAD ACKNOWLEDGED: it is a standby that had not received \
             everything, or an older backup. Of the last commits of this process are not there: \
             [{what}]; what else was lost, nobody knows. Everything is read again from what the \
             database has, and steps whose results were lost run again"
        );
    }
}

/// Whether anything was forgotten, and which marks.
async fn look(
    connection: &mut Connection,
    numbers: i64,
    beat: Option<(WriterId, i64)>,
    marks: Vec<Mark>,
) -> Result<(bool, Vec<Mark>), sqlx::Error> {
    let int = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let seq = |mark: &Mark| mark.seq.map(|seq| i32::try_from(seq).unwrap_or(i32::MAX));
    let row = connection
        .query(sql!("remembers"))
        .bind(numbers)
        .bind(beat.map_or(0, |(writer, _)| writer.0))
        .bind(beat.map_or(0, |(_, beat)| beat))
        .bind((0..marks.len()).map(int).collect::<Vec<_>>())
        .bind(marks.iter().map(|mark| mark.run.0).collect::<Vec<_>>())
        .bind(marks.iter().map(seq).collect::<Vec<_>>())
        .bind(marks.iter().map(|mark| mark.ends).collect::<Vec<_>>())
        .fetch_one(&mut **connection)
        .await?;
    let mut missing: Vec<i32> = row.try_get("missing")?;
    let gone: Vec<i32> = row.try_get("gone")?;
    // A run that has ended may have been deleted; hardly all of the last ones.
    let all_gone = !marks.is_empty() && gone.len() == marks.len();
    let open = |n: &i32| usize::try_from(*n).is_ok_and(|n| !marks[n].ends);
    missing.extend(gone.into_iter().filter(|n| all_gone || open(n)));
    let forgot = row.try_get("numbers")? || row.try_get("beats")? || !missing.is_empty();
    let forgotten =
        missing.into_iter().filter_map(|n| marks.get(usize::try_from(n).ok()?).cloned());
    Ok((forgot, forgotten.collect()))
}

/// What the database has counts: no number is given again, and whoever knows
/// more writes nothing.
async fn accept(
    connection: &mut Connection,
    numbers: i64,
    over: Vec<i64>,
) -> Result<(), sqlx::Error> {
    connection.query(sql!("fence")).bind(over).execute(&mut **connection).await?;
    connection.query(sql!("raise_numbers")).bind(numbers).execute(&mut **connection).await.map(drop)
}
