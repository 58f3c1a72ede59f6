//! The tables, and what a commit does to them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::model::{
    Answer, Asker, AttemptRecord, Block, CallId, Command, CommandKind, DeadLetter, End, Event,
    Item, Mail, OpenRun, Post, RunId, RunRecord, Start, StoredRun, WriterId,
};
#[cfg(test)]
use crate::store::SOUND;
use crate::store::{Counter, refusal};

/// The tables, without a lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(super) runs: BTreeMap<RunId, Run>,
    /// Its generations, oldest first.
    pub(super) ids: BTreeMap<Arc<str>, Vec<RunId>>,
    pub(super) active: BTreeMap<RunId, Active>,
    pub(super) history: BTreeMap<(RunId, u32), Event>,
    pub(super) attempts: BTreeMap<(RunId, CallId), AttemptRecord>,
    pub(super) blocked: BTreeMap<(RunId, Arc<str>), Block>,
    pub(super) commands: Vec<Given>,
    pub(super) dead_letters: Vec<(RunId, DeadLetter)>,
    /// By run and number.
    pub(super) mailbox: BTreeMap<(RunId, i64), Letter>,
    /// Signals that were taken or buried.
    pub(super) received: BTreeMap<Arc<str>, RunId>,
    /// Requests without a reply: of which run, and who asks.
    pub(super) requests: BTreeMap<Arc<str>, (RunId, Asker)>,
    /// What runs show, and how often they said so.
    pub(super) states: BTreeMap<RunId, (i64, Arc<str>)>,
    /// Replies for clients.
    pub(super) replies: BTreeMap<Arc<str>, Arc<str>>,
    /// Signals for runs that have not been started.
    pub(super) early: Vec<Post>,
    /// The number of the last message.
    pub(super) letters: i64,
    counters: BTreeMap<Counter, i64>,
}

#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) start: Start,
    pub(super) end: Option<End>,
    pub(super) generation: u32,
}

/// A message that was not taken.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) message: Arc<str>,
    pub(super) mail: Mail,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Active {
    pub(super) owner: Option<WriterId>,
    pub(super) due: Timestamp,
    pub(super) claims: u32,
    /// How many messages have come.
    pub(super) mail: i64,
    /// How many of them its owner was told of.
    pub(super) heard: i64,
}

/// A command as it was given.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) run: RunId,
    pub(super) command: Command,
    /// The owner has acted, or need not.
    pub(super) done: bool,
}

impl Tables {
    /// Applies each item by itself.
    pub(crate) fn commit(&mut self, items: &[Item]) -> Vec<Answer> {
        items.iter().map(|item| self.apply(item)).collect()
    }

    fn apply(&mut self, item: &Item) -> Answer {
        let answer = self.check(item).unwrap_or_else(|| self.write(item));
        // Also what is sent again: it is there once.
        self.traffic(item, answer)
    }

    /// Whether somebody asked for something after that command.
    fn is_asked(&self, run: RunId, after: i64) -> bool {
        let is_later = |given: &Given| given.run == run && given.command.number > after;
        self.commands.iter().any(|given| !given.done && is_later(given))
    }

    /// The answer, if the item must not go in.
    fn check(&self, item: &Item) -> Option<Answer> {
        if let Some(refused) = refusal(item) {
            return Some(refused);
        }
        if let Some(start) = &item.start {
            return match self.ids.get(&start.id).and_then(|generations| generations.first()) {
                Some(run) if *run != item.run => Some(Answer::Taken(*run)),
                Some(_) => Some(Answer::Committed),
                None => self.runs.contains_key(&item.run).then_some(Answer::Used),
            };
        }
        let Some(run) = self.runs.get(&item.run) else { return Some(Answer::MissingPredecessor) };
        if let Some(first) = item.events.first() {
            if let Some(present) = self.history.get(&(item.run, first.seq)) {
                if !is_same(present, first) {
                    return Some(Answer::Conflict);
                }
                let goes_on = item.end.is_some() && run.end.is_none();
                let prevented = goes_on || self.is_undelivered(item);
                return Some(if prevented { Answer::NotEnded } else { Answer::Committed });
            }
            if run.end.is_some() {
                return Some(Answer::Conflict);
            }
            let before = first.seq - 1;
            let follows = before == 0 || self.history.contains_key(&(item.run, before));
            return (!follows).then_some(Answer::MissingPredecessor);
        }
        let owner = self.active.get(&item.run).map(|active| active.owner);
        match owner {
            Some(None) => Some(Answer::Committed),
            Some(Some(owner)) if owner == item.writer => None,
            Some(Some(_)) | None => Some(Answer::Conflict),
        }
    }

    /// Whether what would have ended the run is there without its turn: the end
    /// that it may have by now is another one.
    fn is_undelivered(&self, item: &Item) -> bool {
        let last = item.delivered_end().and_then(|seq| self.history.get(&(item.run, seq)));
        last.is_some_and(|row| row.decided.is_none())
    }

    fn write(&mut self, item: &Item) -> Answer {
        let (run, writer) = (item.run, item.writer);
        let not_ended =
            item.end.is_some() && item.start.is_none() && self.is_asked(run, item.obeys);
        if let Some(start) = &item.start {
            self.ids.insert(Arc::clone(&start.id), vec![run]);
            self.insert(run, (**start).clone(), 1);
            let owner = (!start.queued).then_some(writer);
            self.active.insert(run, Active { owner, due: start.at, ..Active::default() });
        }
        for event in &item.events {
            self.history.insert((run, event.seq), event.clone());
        }
        let mut rows = self.history.range_mut((run, 0)..=(run, u32::MAX));
        if not_ended && let Some((_, last)) = rows.next_back() {
            last.decided = None;
        }
        for call in &item.settled {
            self.attempts.remove(&(run, *call));
        }
        self.obey(run, item.obeys);
        if not_ended {
            return Answer::NotEnded;
        }
        for record in &item.attempts {
            self.attempts.insert((run, record.call), record.clone());
        }
        self.set_aside(item);
        item.all_traffic().for_each(|traffic| self.settle(item, traffic));
        if item.successor.is_none() {
            self.not_taken(item);
        }
        if let Some(end) = &item.end {
            self.close(run, end);
            self.forget(run);
        }
        if let Some(next) = &item.successor {
            self.succeed(run, next);
            self.not_taken(item);
        }
        Answer::Committed
    }

    /// The next generation begins.
    fn succeed(&mut self, before: RunId, start: &Start) {
        let run = RunId(self.reserve(Counter::Runs, 1));
        let ended = self.runs.get(&before);
        let (parent, generation) =
            ended.map_or((None, 1), |ended| (ended.start.parent, ended.generation));
        self.ids.entry(Arc::clone(&start.id)).or_default().push(run);
        self.insert(run, Start { parent, ..start.clone() }, generation + 1);
        self.active.insert(run, Active { due: start.at, ..Active::default() });
        self.follow(before, run);
    }

    pub(super) fn insert(&mut self, run: RunId, start: Start, generation: u32) {
        self.runs.insert(run, Run { start, end: None, generation });
    }

    /// No step of the run is tried again.
    pub(super) fn forget(&mut self, run: RunId) {
        self.attempts.retain(|(of, _), _| *of != run);
    }

    /// What an item says of its run beside the history.
    fn set_aside(&mut self, item: &Item) {
        let (run, writer) = (item.run, item.writer);
        if item.unblock {
            self.blocked.retain(|(blocked, _), _| *blocked != run);
        }
        if let Some(block) = &item.block {
            self.blocked.insert((run, Arc::clone(&block.build)), (**block).clone());
        }
        let asked = self.is_asked(run, 0);
        let Some(active) = self.active.get_mut(&run) else { return };
        if item.progress {
            active.claims = 0;
        }
        let leaves = item.park.or_else(|| item.block.as_ref().map(|_| Timestamp::NEVER));
        if let Some(due) = leaves
            && active.owner == Some(writer)
            && active.due != due
        {
            let asked = asked || active.mail > item.heard;
            let due = if asked && item.park.is_some() { Timestamp::default() } else { due };
            *active = Active { owner: None, due, claims: 0, ..active.clone() };
        }
    }

    /// What was asked of the run, up to that command, is done.
    pub(super) fn obey(&mut self, run: RunId, last: i64) {
        let of_run = self.commands.iter_mut().filter(|given| given.run == run);
        let known = of_run.filter(|given| given.command.number <= last);
        known.for_each(|given| given.done = true);
    }

    pub(super) fn close(&mut self, run: RunId, end: &End) {
        if let Some(run) = self.runs.get_mut(&run) {
            run.end.get_or_insert_with(|| end.clone());
        }
        self.active.remove(&run);
        self.blocked.retain(|(of, _), _| *of != run);
        self.bury_mail(run, end);
        self.notify(run, end);
    }

    pub(super) fn reserve(&mut self, counter: Counter, count: u32) -> i64 {
        let next = self.counters.entry(counter).or_insert(1);
        let first = *next;
        *next += i64::from(count);
        first
    }

    pub(super) fn claim(
        &mut self,
        writer: WriterId,
        now: Timestamp,
        limit: u32,
        claims: &RangeInclusive<u32>,
    ) -> Vec<RunId> {
        let is_due = |active: &Active| active.owner.is_none() && active.due <= now;
        let mut due: Vec<_> = self
            .active
            .iter_mut()
            .filter(|(_, active)| is_due(active) && claims.contains(&active.claims))
            .collect();
        due.sort_by_key(|(run, active)| (active.due, **run));
        let claimed = due.into_iter().take(limit as usize);
        claimed
            .map(|(run, active)| {
                active.owner = Some(writer);
                active.claims += 1;
                *run
            })
            .collect()
    }

    pub(super) fn record(&self, id: RunId) -> Option<RunRecord> {
        let Run { start, end, generation } = self.runs.get(&id)?.clone();
        let open = self.active.get(&id).map(|active| OpenRun {
            due: active.due,
            owner: active.owner,
            claims: active.claims,
            mail: active.mail,
            blocked: self
                .blocked
                .iter()
                .filter(|((run, _), _)| *run == id)
                .max_by_key(|(_, block)| block.at)
                .map(|(_, block)| Arc::clone(&block.report)),
        });
        let Start { workflow, args, seed, decided, meta, parent, at: created, .. } = start;
        let (run, id) = (id, start.id);
        Some(RunRecord {
            run,
            workflow,
            id,
            args,
            seed,
            decided,
            meta,
            parent,
            generation,
            created,
            end,
            open,
        })
    }

    pub(crate) fn history(&self, run: RunId) -> Vec<Event> {
        let rows = self.history.range((run, 0)..=(run, u32::MAX));
        rows.map(|(_, event)| event.clone()).collect()
    }

    pub(crate) fn load(&self, run: RunId) -> Option<StoredRun> {
        let record = self.record(run)?;
        let attempts = self.attempts.iter().filter(|((of, _), _)| *of == run);
        let attempts = attempts.map(|(_, record)| record.clone()).collect();
        let open = self.commands.iter().filter(|given| given.run == run && !given.done);
        let cancels = open.filter(|given| given.command.kind == CommandKind::Cancel);
        let cancels = cancels.map(|given| given.command.clone()).collect();
        let (history, mail) = (self.history(run), self.unread(run));
        Some(StoredRun { record, history, attempts, cancels, mail })
    }
}

/// Whether it is that row: a payload is not compared, a codec may give another
/// each time.
fn is_same(row: &Event, other: &Event) -> bool {
    let of = |event: &Event| (event.writer, event.kind, event.call, event.at);
    of(row) == of(other)
}

#[cfg(test)]
impl Tables {
    /// Gives a run to another writer, as a takeover does.
    pub(crate) fn seize(&mut self, run: RunId, writer: WriterId, now: Timestamp) {
        let before = self.active.get(&run).cloned().unwrap_or_default();
        self.active.insert(run, Active { owner: Some(writer), due: now, claims: 0, ..before });
    }

    pub(crate) fn claim_due(&mut self, writer: WriterId, now: Timestamp) -> Vec<RunId> {
        self.claim(writer, now, u32::MAX, &SOUND)
    }
}
