//! Messages between runs, and children.

use std::sync::Arc;

use super::Tables;
use super::tables::{Active, Letter};
use crate::clock::Timestamp;
use crate::model::{
    AllNews, Answer, Asker, CallId, Command, CommandKind, DeadLetter, End, Ended, Item, Mail,
    MailKind, News, Post, RunId, Shown, Start, Traffic, Undelivered, WriterId,
};
use crate::store::{Counter, not_taken_id, not_taken_number, unanswered, unread_reason};

impl Tables {
    /// What an item that was answered so asks of others.
    pub(super) fn traffic(&mut self, item: &Item, answer: Answer) -> Answer {
        let mut undelivered = Vec::new();
        for traffic in item.traffic_of(&answer) {
            self.act(item, traffic, &mut undelivered);
        }
        let all = undelivered.is_empty() || answer != Answer::Committed;
        if all { answer } else { Answer::Undelivered(undelivered) }
    }

    fn act(
        &mut self,
        item: &Item,
        traffic: &Traffic,
        undelivered: &mut Vec<(CallId, Undelivered)>,
    ) {
        self.settle(item, traffic);
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
        if let Some(state) = &traffic.state {
            let shown = self.states.entry(item.run).or_insert_with(|| (0, Arc::clone(state)));
            *shown = (shown.0 + 1, Arc::clone(state));
        }
        for (call, id, by) in &traffic.cancels {
            self.cancel_child(*call, id, by, item);
        }
    }

    /// What a run had and did not take is its next generation's, or waits for
    /// people.
    pub(super) fn not_taken(&mut self, item: &Item) {
        let (run, at) = (item.run, item.at());
        let next = item.successor.as_ref().and_then(|next| self.ids.get(&next.id)?.last()).copied();
        let traffic = item.last_traffic.iter().flat_map(|traffic| &traffic.not_taken);
        for (n, (name, body)) in traffic.enumerate() {
            let message: Arc<str> = not_taken_id(run, n).into();
            if self.received.insert(Arc::clone(&message), run).is_some() {
                continue;
            }
            let (name, body) = (Arc::clone(name), Arc::clone(body));
            let number = next.map_or(0, |next| not_taken_number(next, n));
            let mail = Mail { number, kind: MailKind::Signal, name, call: None, body };
            match next {
                Some(next) => self.put(next, message, mail, at),
                None => self.dead_letters.extend(self.letter(run, &mail, at)),
            }
        }
    }

    /// What a run took, and what it answered: before it ends, or it would be left
    /// over.
    pub(super) fn settle(&mut self, item: &Item, traffic: &Traffic) {
        traffic.taken.iter().for_each(|number| self.take(item.run, *number));
        for (message, body) in &traffic.replies {
            self.answer(item.run, message, body, item.at());
        }
    }

    /// A request is answered, once.
    fn answer(&mut self, run: RunId, message: &Arc<str>, body: &Arc<str>, at: Timestamp) {
        if self.requests.get(message).is_none_or(|(of, _)| *of != run) {
            return;
        }
        let body = Arc::clone(body);
        match self.requests.remove(message) {
            Some((_, Asker::Call(asker, call))) => {
                let (kind, call) = (MailKind::Reply, Some(call));
                let mail = Mail { number: 0, kind, name: Arc::default(), call, body };
                self.put(asker, format!("reply-{message}").into(), mail, at);
            }
            Some((_, Asker::Client)) => drop(self.replies.insert(Arc::clone(message), body)),
            None => {}
        }
    }

    /// What was asked of a run that ended is answered with that.
    fn leave_unanswered(&mut self, run: RunId, at: Timestamp) {
        let of_run = self.requests.iter().filter(|(_, (of, _))| *of == run);
        let messages: Vec<Arc<str>> = of_run.map(|(message, _)| Arc::clone(message)).collect();
        for message in messages {
            self.answer(run, &message, &unanswered().into(), at);
        }
    }

    pub(super) fn shown(&self, id: &str) -> Option<Shown> {
        let newest_first = self.ids.get(id)?.iter().rev();
        newest_first.into_iter().find_map(|run| {
            let (version, body) = self.states.get(run)?;
            Some(Shown { version: (*run, *version), body: Arc::clone(body) })
        })
    }

    pub(super) fn reply(&self, message: &str) -> Option<Arc<str>> {
        self.replies.get(message).cloned()
    }

    pub(super) fn reply_read(&mut self, message: &str) {
        self.replies.remove(message);
    }

    fn take(&mut self, run: RunId, number: i64) {
        let Some(letter) = self.mailbox.remove(&(run, number)) else { return };
        if is_sent(letter.mail.kind) {
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
        // What was sent before comes before.
        if self.early.iter().any(|early| early.to == post.to) {
            self.adopt_early();
        }
        if !self.active.contains_key(&run) {
            return Err(Undelivered::Ended);
        }
        if self.unread(run).len() >= post.limit as usize {
            return Err(Undelivered::Full);
        }
        let (name, body) = (Arc::clone(&post.name), Arc::clone(&post.body));
        let mail = Mail { number: 0, kind: post.kind(), name, call: None, body };
        self.put(run, Arc::clone(&post.message), mail, post.at);
        if let Some(asker) = post.asker {
            self.requests.insert(Arc::clone(&post.message), (run, asker));
        }
        Ok(())
    }

    fn put(&mut self, run: RunId, message: Arc<str>, mail: Mail, at: Timestamp) {
        let set_aside = self.blocked.keys().any(|(blocked, _)| *blocked == run);
        if let Some(active) = self.active.get_mut(&run) {
            active.mail += 1;
            if active.owner.is_none() && !set_aside {
                active.due = active.due.min(at);
            }
        } else if !self.is_dead(run) {
            return;
        }
        // A number that is given is before all that come.
        let number = if mail.number < 0 { mail.number } else { self.letters + 1 };
        self.letters = self.letters.max(number);
        self.mailbox.insert((run, number), Letter { message, mail: Mail { number, ..mail } });
    }

    /// It may be redriven: its mail is kept.
    fn is_dead(&self, run: RunId) -> bool {
        let end = self.runs.get(&run).and_then(|run| run.end.as_ref());
        end.is_some_and(|end| end.how == Ended::Dead)
    }

    /// A child's end, for its parent, if that goes on or may.
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
        self.leave_unanswered(run, end.at);
        let numbers: Vec<i64> = self.unread(run).iter().map(|mail| mail.number).collect();
        for number in numbers {
            let Some(Letter { message, mail }) = self.mailbox.remove(&(run, number)) else {
                continue;
            };
            if is_sent(mail.kind) {
                self.received.insert(message, run);
            }
            if mail.kind == MailKind::Signal {
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
            if is_sent(mail.kind) {
                self.mailbox.insert((run, mail.number), letter);
                self.active.entry(run).or_default().mail += 1;
            }
        }
        let of_run = self.requests.values_mut().filter(|(of, _)| *of == before);
        of_run.for_each(|(of, _)| *of = run);
    }

    pub(super) fn unread(&self, run: RunId) -> Vec<Mail> {
        let of_run = self.mailbox.range((run, i64::MIN)..=(run, i64::MAX));
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
        let mail = Mail { number: 0, kind: post.kind(), name, call: None, body };
        if self.is_dead(run) {
            self.put(run, Arc::clone(&post.message), mail, post.at);
            let request = post.asker.map(|asker| (Arc::clone(&post.message), (run, asker)));
            return self.requests.extend(request);
        }
        self.received.insert(Arc::clone(&post.message), run);
        match post.asker {
            None => self.dead_letters.extend(self.letter(run, &mail, post.at)),
            Some(asker) => {
                self.requests.insert(Arc::clone(&post.message), (run, asker));
                self.leave_unanswered(run, post.at);
            }
        }
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

/// Whether somebody sent it, who may send it again.
fn is_sent(kind: MailKind) -> bool {
    matches!(kind, MailKind::Signal | MailKind::Request)
}
