//! What goes from a run to others and comes from them: signals, children.

use std::ops::Range;
use std::sync::Arc;

use super::Actor;
use crate::clock::Timestamp;
use crate::codec::fingerprint;
use crate::model::{Asker, CallId, Mail, Post, Start, Traffic, Undelivered, request_body};
use crate::turn::table::{ChildSpec, OnParentEnd, SendSpec, Target};

impl Actor {
    fn traffic(&mut self) -> &mut Traffic {
        self.next.traffic.get_or_insert_default()
    }

    /// What calls that were just made ask of others goes in with their turn.
    pub(super) fn ask_others(&mut self, calls: Range<u32>, at: Timestamp) {
        for call in calls.map(CallId) {
            self.ask(call, at);
        }
    }

    pub(super) fn show(&mut self, state: Option<Arc<str>>) {
        if state.is_some() {
            self.traffic().state = state;
        }
    }

    fn ask(&mut self, call: CallId, at: Timestamp) {
        let Some(instance) = &self.instance else { return };
        let is_open = instance.is_open(call);
        let Some(spec) = instance.call(call) else { return };
        let (name, args): (Arc<str>, _) = (spec.name.into(), Arc::clone(&spec.args));
        match spec.target.clone() {
            Target::Child(child) if is_open => {
                let ChildSpec { id, seed, meta, .. } = *child;
                let (workflow, decided, parent, queued) = (name, None, None, true);
                let start = Start { workflow, id, args, seed, decided, meta, parent, queued, at };
                self.traffic().children.push((call, start));
            }
            Target::Send(send) if is_open => self.post(call, name, *send, None, at),
            Target::Ask(send) if is_open => {
                let asker = Some(Asker::Call(self.run, call));
                self.post(call, name, *send, asker, at);
            }
            Target::Reply(reply) => {
                let SendSpec { to, body } = *reply;
                self.traffic().replies.push((to, body));
            }
            // Nobody else is asked, or it has its outcome.
            Target::Step { .. }
            | Target::Timer { .. }
            | Target::Receive(_)
            | Target::Child(_)
            | Target::Send(_)
            | Target::Ask(_) => {}
        }
    }

    fn post(
        &mut self,
        call: CallId,
        name: Arc<str>,
        send: SendSpec,
        asker: Option<Asker>,
        at: Timestamp,
    ) {
        let SendSpec { to, body } = send;
        // The same in every life.
        let message: Arc<str> = format!("{:x}-{}-{call}", self.info.seed, self.run).into();
        let body = if asker.is_some() { request_body(&message, &body) } else { body };
        let limit = self.info.mailbox_limit;
        let post = Post { message, to, asker, name, body, at, limit };
        self.traffic().posts.push((call, post));
    }

    /// A call is dropped: what it asked for is not asked for, or taken back.
    /// `before`: what earlier turns ask for that is not written either.
    pub(super) fn withdraw(&mut self, call: CallId, before: Option<&mut Traffic>) {
        let now = self.next.traffic.as_deref_mut().into_iter();
        let asked = now.chain(before).any(|traffic| traffic.withdraw(call));
        // An earlier life may have asked for it.
        let is_new = asked && !self.again.contains(&call);
        let Some(spec) = self.instance.as_ref().and_then(|instance| instance.call(call)) else {
            return;
        };
        if let (false, Target::Child(child)) = (is_new, &spec.target)
            && child.on_parent_end != OnParentEnd::Abandon
        {
            let id = Arc::clone(&child.id);
            self.cancel_child(call, id);
        }
    }

    /// What earlier turns ask for goes in with what this one does.
    pub(super) fn join_traffic(&mut self, before: Option<Box<Traffic>>) {
        if let Some(mut before) = before {
            if let Some(now) = self.next.traffic.take() {
                before.and(*now);
            }
            self.next.traffic = Some(before);
        }
        self.next.traffic.take_if(|traffic| traffic.is_empty());
        self.next.last_traffic.take_if(|traffic| traffic.is_empty());
    }

    /// Cancels a child, as its parent.
    fn cancel_child(&mut self, call: CallId, id: Arc<str>) {
        let by = format!("its parent {}", self.id).into();
        self.traffic().cancels.push((call, id, by));
    }

    /// The run ends: its children with it, unless they are to go on.
    pub(super) fn leave_others(&mut self) {
        let children = self.instance.as_ref().map(|instance| instance.children_to_cancel());
        children.into_iter().flatten().for_each(|(call, id)| self.cancel_child(call, id));
        let signals = self.instance.as_ref().map(|instance| instance.not_taken());
        for (name, body) in signals.into_iter().flatten() {
            self.traffic().not_taken.push((name.into(), body));
        }
    }

    /// The run ends without a turn for a signal of its history.
    pub(super) fn leave_signal(&mut self, name: &str, body: Arc<str>) {
        let traffic = self.next.last_traffic.get_or_insert_default();
        traffic.not_taken.push((name.into(), body));
    }

    /// At the frontier of a recovered run: what waits for others asks once more. It
    /// is there once.
    pub(super) fn ask_again(&mut self, at: Timestamp) {
        let Some(instance) = &self.instance else { return };
        self.again = instance.open_asks();
        self.made.retain(|call| !self.again.contains(call));
        for call in self.again.clone() {
            self.ask(call, at);
        }
    }

    /// How many messages have come for the run, as the store said.
    pub(crate) fn hears(&mut self, heard: i64) {
        self.heard = self.heard.max(heard);
    }

    /// Delivers the first of these messages that somebody waits for, or that
    /// nobody ever will. None: all of them wait.
    pub(crate) fn deliver_mail(&mut self, mail: &[Mail], now: Timestamp) -> Option<i64> {
        let (one, call) = mail.iter().find_map(|one| Some((one, self.receiver(one)?)))?;
        self.traffic().taken.push(one.number);
        // Of a child that nobody waits for any more it is taken and forgotten.
        self.deliver(call, Arc::clone(&one.body).into(), now);
        Some(one.number)
    }

    /// The call that gets it.
    fn receiver(&self, mail: &Mail) -> Option<CallId> {
        if let Some(call) = mail.call {
            return Some(call);
        }
        let waiting = self.waiting_calls().into_iter();
        waiting.into_iter().find(|call| {
            self.call(*call).is_some_and(|spec| {
                let gets = |kind| kind == mail.kind;
                matches!(spec.target, Target::Receive(kind) if gets(kind))
                    && spec.is_called(&mail.name)
            })
        })
    }

    /// What a call asked of others was not accepted.
    pub(crate) fn undelivered(&self, call: CallId, why: Undelivered) -> String {
        let spec = self.call(call);
        let name = spec.map_or("", |spec| spec.name);
        match spec.map(|spec| &spec.target) {
            Some(Target::Child(child)) => format!(
                "`{name}` was not started: the workflow id `{}` belongs to another run",
                child.id
            ),
            Some(Target::Send(send) | Target::Ask(send)) => why.describe(name, &send.to),
            _ => String::new(),
        }
    }
}

/// A child's stream of chance: its own, and the same in every life of its parent.
pub(crate) fn seed_of_child(seed: i64, id: &str) -> i64 {
    i64::from_le_bytes(fingerprint(&format!("{seed} {id}")).to_le_bytes())
}
