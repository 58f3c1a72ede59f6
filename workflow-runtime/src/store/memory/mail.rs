//! Messages between runs, and children.

use std::sync::Arc;

use super::Tables;
use super::tables::{Active, Letter};
use crate::clock::Timestamp;
use crate::model::{
    AllNews, Answer, CallId, Command, CommandKind, DeadLetter, End, Ended, Item, Mail, MailKind,
    News, Post, RunId, Start, Undelivered, WriterId,
};
use crate::store::{Counter, not_taken_id, unread_reason};

impl Tables {
    /// What an item that was answered so asks of others.
    pub(super) fn traffic(&mut self, item: &Item, answer: Answer) -> Answer {
        let Some(traffic) = &item.traffic else { return answer };
        let mut undelivered = Vec::new();
        if matches!(answer, Answer::Committed | Answer::NotEnded) {
            traffic.taken.iter().for_each(|number| self.take(item.run, *number));
        }
        if answer != Answer::Committed {
            return answer;
        }
        for (call, start) in &traffic.children {
            if let Err(why) = self.begin_child(item.run, *call, start) {
                undelivered.push((*call, why));
            }
        }
        for (call, post) in &traffic.posts {
            if let Err(why) = self.post(post) {
                undelivered.push((*call, why));
            }
        }
        for (call, id, by) in &traffic.cancels {
            self.cancel_child(*call, id, by, item);
        }
        for (n, (name, body)) in traffic.not_taken.iter().enumerate() {
            let (name, body) = (Arc::clone(name), Arc::clone(body));
            let mail = Mail { number: 0, kind: MailKind::Signal, name, call: None, body };
            let run = item.run;
            let next = item.successor.as_ref().and_then(|next| self.ids.get(&next.id)?.last());
            match next.copied() {
                // Not where the item is sent again.
                Some(_) if self.is_known(&not_taken_id(run, n)) => {}
                Some(next) => self.put(next, not_taken_id(run, n).into(), mail, item.at()),
                None => self.dead_letters.extend(self.letter(run, &mail, item.at())),
            }
        }
        if undelivered.is_empty() { Answer::Committed } else { Answer::Undelivered(undelivered) }
    }

    pub(super) fn take(&mut self, run: RunId, number: i64) {
        let Some(letter) = self.mailbox.remove(&(run, number)) else { return };
        if letter.mail.kind == MailKind::Signal {
            self.received.insert(letter.message, run);
        }
    }

    fn begin_child(&mut self, of: RunId, call: CallId, start: &Start) -> Result<(), Undelivered> {
        let parent = Some((of, call));
        if let Some(holder) = self.ids.get(&start.id).and_then(|all| all.first()) {
            let same = self.runs.get(holder).is_some_and(|run| run.start.parent == parent);
            return if same { Ok(()) } else { Err(Undelivered::Taken) };
        }
        let run = RunId(self.reserve(Counter::Runs, 1));
        self.ids.insert(Arc::clone(&start.id), vec![run]);
        self.insert(run, Start { parent, ..start.clone() }, 1);
        self.active.insert(run, Active { due: start.at, ..Active::default() });
        Ok(())
    }

    fn cancel_child(&mut self, call: CallId, id: &str, by: &Arc<str>, item: &Item) {
        let Some(run) = self.ids.get(id).and_then(|all| all.last()).copied() else { return };
        let parent = self.runs.get(&run).and_then(|run| run.start.parent);
        if parent != Some((item.run, call)) {
            return;
        }
        let (kind, by, at) = (CommandKind::Cancel, Arc::clone(by), item.at());
        self.command(run, Command { number: 0, kind, by, reason: None, at });
    }

    /// Whether a message was accepted before.
    fn is_known(&self, message: &str) -> bool {
        self.received.contains_key(message)
            || self.mailbox.values().any(|letter| &*letter.message == message)
            || self.early.iter().any(|early| &*early.message == message)
    }

    /// Delivers a signal, once.
    pub(super) fn post(&mut self, post: &Post) -> Result<(), Undelivered> {
        if self.is_known(&post.message) {
            return Ok(());
        }
        let Some(run) = self.ids.get(&post.to).and_then(|all| all.last()).copied() else {
            let waiting = self.early.iter().filter(|early| early.to == post.to).count();
            if waiting >= post.limit as usize {
                return Err(Undelivered::Full);
            }
            self.early.push(post.clone());
            return Ok(());
        };
        if !self.active.contains_key(&run) {
            return Err(Undelivered::Ended);
        }
        if self.unread(run).len() >= post.limit as usize {
            return Err(Undelivered::Full);
        }
        let (name, body) = (Arc::clone(&post.name), Arc::clone(&post.body));
        let mail = Mail { number: 0, kind: MailKind::Signal, name, call: None, body };
        self.put(run, Arc::clone(&post.message), mail, post.at);
        Ok(())
    }

    fn put(&mut self, run: RunId, message: Arc<str>, mail: Mail, at: Timestamp) {
        let Some(active) = self.active.get_mut(&run) else { return };
        active.mail += 1;
        let set_aside = self.blocked.keys().any(|(blocked, _)| *blocked == run);
        if active.owner.is_none() && !set_aside {
            active.due = active.due.min(at);
        }
        self.letters += 1;
        let number = self.letters;
        self.mailbox.insert((run, number), Letter { message, mail: Mail { number, ..mail } });
    }

    /// A child's end, for its parent.
    pub(super) fn notify(&mut self, run: RunId, end: &End) {
        let Some(child) = self.runs.get(&run) else { return };
        // What is dead may be redriven.
        let is_over = !matches!(end.how, Ended::Continued | Ended::Dead);
        let (Some((parent, call)), true) = (child.start.parent, is_over) else { return };
        let (name, body) = (Arc::clone(&child.start.workflow), Arc::clone(&end.output));
        let mail = Mail { number: 0, kind: MailKind::Child, name, call: Some(call), body };
        self.put(parent, format!("child-{run}").into(), mail, end.at);
    }

    /// What a run has not taken when it ends waits for people.
    pub(super) fn bury_mail(&mut self, run: RunId, end: &End) {
        if matches!(end.how, Ended::Continued | Ended::Dead) {
            return;
        }
        let numbers: Vec<i64> = self.unread(run).iter().map(|mail| mail.number).collect();
        for number in numbers {
            let Some(Letter { message, mail }) = self.mailbox.remove(&(run, number)) else {
                continue;
            };
            if mail.kind == MailKind::Signal {
                self.received.insert(message, run);
                self.dead_letters.extend(self.letter(run, &mail, end.at));
            }
        }
    }

    fn letter(&self, run: RunId, mail: &Mail, at: Timestamp) -> Option<(RunId, DeadLetter)> {
        let start = &self.runs.get(&run)?.start;
        let letter = DeadLetter {
            number: self.dead_letters.last().map_or(1, |(_, last)| last.number + 1),
            id: start.id.to_string(),
            workflow: start.workflow.to_string(),
            kind: "signal".to_owned(),
            reason: unread_reason(&mail.name),
            body: Some(mail.body.to_string()),
            at,
        };
        Some((run, letter))
    }

    /// What a run has not taken goes to its next generation.
    pub(super) fn follow(&mut self, before: RunId, run: RunId) {
        for mail in self.unread(before) {
            let Some(letter) = self.mailbox.remove(&(before, mail.number)) else { continue };
            if mail.kind == MailKind::Signal {
                self.mailbox.insert((run, mail.number), letter);
                self.active.entry(run).or_default().mail += 1;
            }
        }
    }

    pub(super) fn unread(&self, run: RunId) -> Vec<Mail> {
        let of_run = self.mailbox.range((run, 0)..=(run, i64::MAX));
        of_run.map(|(_, letter)| letter.mail.clone()).collect()
    }

    /// Signals whose runs have been started since.
    fn adopt_early(&mut self) {
        let (arrived, early) = std::mem::take(&mut self.early)
            .into_iter()
            .partition::<Vec<_>, _>(|post| self.ids.contains_key(&post.to));
        self.early = early;
        for post in arrived {
            // A run that has ended meanwhile did not receive it.
            if self.post(&post).is_err() {
                self.bury_early(&post);
            }
        }
    }

    fn bury_early(&mut self, post: &Post) {
        let Some(run) = self.ids.get(&post.to).and_then(|all| all.last()).copied() else { return };
        let (name, body) = (Arc::clone(&post.name), Arc::clone(&post.body));
        let mail = Mail { number: 0, kind: MailKind::Signal, name, call: None, body };
        self.received.insert(Arc::clone(&post.message), run);
        self.dead_letters.extend(self.letter(run, &mail, post.at));
    }

    pub(super) fn news(&mut self, writer: WriterId) -> AllNews {
        self.adopt_early();
        let mut told = Vec::new();
        for (run, active) in &mut self.active {
            if active.owner == Some(writer) && active.mail > active.heard {
                active.heard = active.mail;
                told.push((*run, active.mail));
            }
        }
        let news = |(run, heard)| News { run, mail: self.unread(run), heard };
        AllNews { of_runs: told.into_iter().map(news).collect(), early: !self.early.is_empty() }
    }
}
