//! What is done to runs from outside their history.

use super::Tables;
use super::tables::{Active, Given};
use crate::clock::Timestamp;
use crate::model::{
    Command, CommandKind, Commanded, DeadLetter, Ended, RunId, RunQuery, RunRecord, RunSummary,
    Status, WriterId, read_meta,
};
use crate::store::{Of, SUSPECT, Sweep, TakeOver, dead, reason_of, terminated};

impl Tables {
    pub(super) fn take_over(&mut self, over: &TakeOver) {
        let (writer, now, of) = (over.writer, over.now, over.of);
        let others = |active: &Active| {
            active.owner.is_some_and(|owner| match of {
                Of::All => owner != writer,
                Of::Worker(dead) => owner == dead,
                Of::Nobody => false,
            })
        };
        let buried = self.active.iter();
        let buried = buried.filter(|(_, at)| others(at) && at.claims >= over.max_claims);
        for run in buried.map(|(run, _)| *run).collect::<Vec<_>>() {
            self.bury(run, over);
        }
        for (run, active) in &mut self.active {
            let is_concerned = match active.owner {
                Some(_) => others(active),
                None => !matches!(of, Of::Worker(_)),
            };
            if !is_concerned {
                continue;
            }
            let mut builds = self.blocked.keys().filter(|of| of.0 == *run).peekable();
            let blocked = builds.peek().is_some();
            if builds.any(|of| *of.1 == over.build) {
                (active.owner, active.due) = (None, Timestamp::NEVER);
            } else if active.owner.is_some() || blocked {
                let waits = active.claims.saturating_sub(1).pow(2);
                let pause =
                    if active.claims >= SUSPECT { over.pause * waits } else { Default::default() };
                (active.owner, active.due) = (None, now + pause);
            }
        }
    }

    fn bury(&mut self, run: RunId, over: &TakeOver) {
        let end = dead(over.max_claims, over.now);
        self.close(run, &end);
        let Some(record) = self.record(run) else { return };
        let letter = DeadLetter {
            number: i64::try_from(self.dead_letters.len()).unwrap_or(i64::MAX) + 1,
            id: record.id.to_string(),
            workflow: record.workflow.to_string(),
            kind: "run".to_owned(),
            reason: reason_of(&end),
            body: None,
            at: over.now,
        };
        self.dead_letters.push((run, letter));
    }

    pub(super) fn suspected(&self, runs: &[RunId]) -> Vec<RunId> {
        let is_suspected = |run: &&RunId| self.active.get(run).is_some_and(|at| at.claims > 0);
        runs.iter().filter(is_suspected).copied().collect()
    }

    pub(super) fn vindicate(&mut self, runs: &[RunId]) {
        for run in runs {
            if let Some(active) = self.active.get_mut(run) {
                active.claims = 0;
            }
        }
    }

    pub(super) fn owned(&self, writer: WriterId) -> Vec<RunId> {
        let held = self.active.iter().filter(|(_, active)| active.owner == Some(writer));
        held.map(|(run, _)| *run).collect()
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let free = self.active.values().filter(|active| active.owner.is_none());
        free.map(|active| active.due).filter(|due| *due != Timestamp::NEVER).min()
    }

    pub(super) fn release(&mut self, writer: WriterId, now: Timestamp) {
        for active in self.active.values_mut().filter(|active| active.owner == Some(writer)) {
            let claims = active.claims.saturating_sub(1);
            *active = Active { owner: None, due: now, claims, ..active.clone() };
        }
    }

    pub(super) fn find(&self, id: &str) -> Option<RunRecord> {
        self.ids.get(id)?.last().and_then(|run| self.record(*run))
    }

    pub(super) fn find_first(&self, id: &str) -> Option<RunRecord> {
        self.ids.get(id)?.first().and_then(|run| self.record(*run))
    }

    pub(crate) fn command(&mut self, run: RunId, mut command: Command) -> Commanded {
        let Some(record) = self.record(run) else { return Commanded::Unknown };
        let owned = record.open.as_ref().is_some_and(|open| open.owner.is_some());
        let blocked = record.open.as_ref().is_some_and(|open| open.blocked.is_some());
        let mut done = true;
        match (command.kind, record.end) {
            (CommandKind::Redrive, Some(end)) if end.how == Ended::Dead => {
                if let Some(run) = self.runs.get_mut(&run) {
                    run.end = None;
                }
                self.active.insert(run, Active { due: command.at, ..Active::default() });
                self.dead_letters.retain(|(of, _)| *of != run);
            }
            (CommandKind::Redrive, _) => return Commanded::Idle,
            (_, Some(_)) => return Commanded::Ended,
            (CommandKind::Cancel, None) => {
                done = false;
                if !owned
                    && !blocked
                    && let Some(active) = self.active.get_mut(&run)
                {
                    active.due = active.due.min(command.at);
                }
            }
            (CommandKind::Terminate, None) => {
                done = !owned;
                self.obey(run, i64::MAX);
                self.close(run, &terminated(&command));
                self.forget(run);
            }
            (CommandKind::Retry, None) if !blocked => return Commanded::Idle,
            (CommandKind::Retry, None) => {
                self.blocked.retain(|(of, _), _| *of != run);
                if let Some(active) = self.active.get_mut(&run).filter(|at| at.owner.is_none()) {
                    (active.due, active.claims) = (command.at, 0);
                }
            }
        }
        command.number = self.commands.last().map_or(1, |last| last.command.number + 1);
        self.commands.push(Given { run, command, done });
        Commanded::Accepted
    }

    pub(crate) fn open_commands(&self, writer: WriterId) -> Vec<(RunId, Command)> {
        let owns = |run| self.active.get(&run).is_some_and(|active| active.owner == Some(writer));
        let concerns = |given: &&Given| {
            !given.done && (given.command.kind == CommandKind::Terminate || owns(given.run))
        };
        let open = self.commands.iter().filter(concerns);
        open.map(|given| (given.run, given.command.clone())).collect()
    }

    pub(super) fn terminated(&mut self, run: RunId) {
        let ended =
            |given: &&mut Given| given.run == run && given.command.kind == CommandKind::Terminate;
        self.commands.iter_mut().filter(ended).for_each(|given| given.done = true);
    }

    pub(super) fn list(&self, query: &RunQuery) -> Vec<RunSummary> {
        let newest_first = self.runs.keys().rev().filter_map(|run| self.record(*run));
        let summaries = newest_first.map(|record| RunSummary {
            run: record.run.0,
            id: record.id.to_string(),
            workflow: record.workflow.to_string(),
            status: record.status(),
            started: record.created,
            ended: record.end.as_ref().map(|end| end.at),
            meta: read_meta(record.meta.as_deref()),
        });
        summaries.filter(|run| is_wanted(query, run)).take(query.limit as usize).collect()
    }

    pub(super) fn dead_letters(&self, after: Option<i64>, limit: u32) -> Vec<DeadLetter> {
        let newest_first = self.dead_letters.iter().rev().map(|(_, letter)| letter);
        let wanted = newest_first.filter(|letter| after.is_none_or(|after| letter.number < after));
        wanted.take(limit as usize).cloned().collect()
    }

    pub(super) fn old(&self, after: RunId, before: Timestamp) -> Sweep {
        let later = self.runs.range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded));
        let holds_the_id = |run: &RunId| self.ids.values().any(|all| all.first() == Some(run));
        let is_old = |run: &&RunId| {
            let end = self.runs.get(run).and_then(|run| run.end.as_ref());
            end.is_some_and(|end| match end.how {
                Ended::Completed => end.at < before,
                Ended::Continued => end.at < before && !holds_the_id(run),
                Ended::Failed | Ended::Cancelled | Ended::Dead => false,
            })
        };
        Sweep {
            runs: later.map(|(run, _)| run).filter(is_old).copied().collect(),
            ..Sweep::default()
        }
    }

    pub(super) fn delete(&mut self, runs: &[RunId]) -> u32 {
        let ended = |run: &RunId| Some((*run, self.runs.get(run)?.end.clone()?));
        let mut all = Vec::new();
        for (run, end) in runs.iter().filter_map(ended) {
            let generations = self.ids.values().find(|all| all.contains(&run));
            match generations {
                Some(before) if end.is_last() => all.extend(before),
                _ => all.push(run),
            }
        }
        for run in &all {
            self.runs.remove(run);
            self.ids.values_mut().for_each(|generations| generations.retain(|one| one != run));
            self.ids.retain(|_, generations| !generations.is_empty());
            self.history.retain(|(of, _), _| of != run);
            self.forget(*run);
            self.commands.retain(|given| given.run != *run);
            self.dead_letters.retain(|(of, _)| of != run);
        }
        u32::try_from(all.len()).unwrap_or(u32::MAX)
    }
}

fn is_wanted(query: &RunQuery, run: &RunSummary) -> bool {
    let any = |list: &[Status], one| list.is_empty() || list.contains(&one);
    any(&query.statuses, run.status)
        && (query.workflows.is_empty() || query.workflows.contains(&run.workflow))
        && query.id_prefix.as_ref().is_none_or(|prefix| run.id.starts_with(prefix))
        && query.from.is_none_or(|from| run.started >= from)
        && query.before.is_none_or(|before| run.started < before)
        && query.meta.iter().all(|(key, value)| run.meta.get(key) == Some(value))
        && query.after.is_none_or(|after| run.run < after)
}
