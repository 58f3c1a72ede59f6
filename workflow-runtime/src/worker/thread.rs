//! A workflow thread: it owns runs, and nothing else polls them. It never
//! entered a tokio runtime, so code that needs one fails at once.
//!
//! A round: take all messages, run the turns, push all items to the committer,
//! then launch steps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore as _;

use super::Shared;
use super::lane::Lane;
use super::launch::{Launch, Launcher, Stopper};
use super::message::{Message, Ticket};
use super::run::Run;
use crate::clock::Timestamp;
use crate::inbox::Inbox;
use crate::model::{CallId, RunId};
use crate::step::{Heart, Mailer};
use crate::store::{Envelope, Reply};
use crate::turn::Identity;

/// The clock is read again after so long while a timer runs: it may jump.
const LONGEST_WAIT: Duration = Duration::from_millis(500);
/// In a long round so many items and launches are sent together.
const ENOUGH: usize = 32;
/// After so many messages it is looked whether answers have come meanwhile.
const LOOK: usize = 64;
/// So many results of one run make an item, also where more follow.
const MANY: usize = 128;

pub(super) struct WorkflowThread {
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    launcher: Launcher,
    pub(super) stopper: Stopper,
    heart: Arc<dyn Heart>,
    /// Boxed: a run changes hands with every message.
    runs: Vec<Option<Box<Run>>>,
    free: Vec<usize>,
    /// A run is in memory once: where.
    held: BTreeMap<RunId, usize>,
    /// When which slot has something to do, without a message.
    alarms: BTreeSet<(Timestamp, usize)>,
    /// Sent last: empty, and its memory is used again.
    launches: Vec<Launch>,
    /// The time of this round.
    pub(super) now: Timestamp,
    /// For seeds and for the jitter of retries.
    pub(super) chance: ChaCha8Rng,
    /// Nothing more begins.
    pub(super) draining: bool,
    /// Items and launches that are not sent yet.
    pub(super) unsent: usize,
    /// A run that has something to be written, after so many turns one after the
    /// other.
    held_back: Option<(Ticket, usize)>,
    /// Which thread of its lane it is.
    pub(super) generation: u64,
    /// It came back from a turn and was not the lane's thread any more.
    replaced: bool,
    /// The runs of the thread before this one come back: what is not in memory
    /// is not missing.
    reading_back: bool,
    /// By workflow.
    pub(super) identities: BTreeMap<&'static str, Arc<Identity>>,
}

/// Brings heartbeats of steps to their thread.
struct InboxHeart {
    thread: usize,
    inbox: Arc<Inbox<Message>>,
}

impl Heart for InboxHeart {
    fn beat(&self, slot: usize, run: RunId, call: CallId, detail: Arc<str>) {
        let ticket = Ticket { thread: self.thread, slot, run };
        // A thread that is gone needs no heartbeat.
        let _gone = self.inbox.push(Message::Heartbeat(ticket, call, detail));
    }
}

impl WorkflowThread {
    pub(super) fn new(shared: Arc<Shared>, index: usize, launcher: Launcher) -> Self {
        let inbox = Arc::clone(&shared.threads[index]);
        let heart = Arc::new(InboxHeart { thread: index, inbox });
        Self {
            shared,
            index,
            stopper: launcher.stopper(),
            heart,
            launcher,
            runs: Vec::new(),
            free: Vec::new(),
            held: BTreeMap::new(),
            alarms: BTreeSet::new(),
            launches: Vec::new(),
            now: Timestamp::default(),
            chance: crate::chance::stream(),
            draining: false,
            generation: 0,
            replaced: false,
            reading_back: false,
            unsent: 0,
            held_back: None,
            identities: BTreeMap::new(),
        }
    }

    /// In the place of a thread that does not return.
    pub(super) fn replacing(mut self, generation: u64) -> Self {
        self.generation = generation;
        self.reading_back = true;
        let draining = self.lane().state().draining;
        self.draining = draining;
        self
    }

    pub(super) fn lane(&self) -> &Lane {
        &self.shared.lanes[self.index]
    }

    /// Runs until the inbox is closed.
    pub(super) fn run(mut self) {
        let inbox = Arc::clone(&self.shared.threads[self.index]);
        self.lane().is_of_this_thread();
        let mut messages = Vec::new();
        loop {
            let patience = self
                .alarms
                .first()
                .map(|(due, _)| due.since(self.shared.parts.clock.now()).min(LONGEST_WAIT));
            let waits = self.lane().state().messages.is_empty();
            if !inbox.take(&mut messages, if waits { patience } else { Some(Duration::ZERO) }) {
                break;
            }
            self.now = self.shared.parts.clock.now();
            if self.round(&mut messages).is_none() {
                // Replaced: its runs are another thread's, and their steps run.
                return;
            }
        }
        for run in self.runs.iter_mut().flatten() {
            run.abort_all(&self.stopper);
        }
    }

    /// One round by hand, with what is there; when there is something to do
    /// without a message.
    #[cfg(feature = "testing")]
    pub(super) fn once(&mut self) -> Option<Timestamp> {
        let mut messages = Vec::new();
        self.shared.threads[self.index].take_now(&mut messages);
        self.now = self.shared.parts.clock.now();
        let _replaced = self.round(&mut messages);
        self.alarms.first().map(|(due, _)| *due)
    }

    /// None: this thread was replaced meanwhile.
    fn round(&mut self, messages: &mut Vec<Message>) -> Option<()> {
        let (shared, generation) = (Arc::clone(&self.shared), self.generation);
        let lane = &shared.lanes[self.index];
        lane.of(generation)?.messages.extend(messages.drain(..));
        let mut handled = 0;
        loop {
            // Its own statement: the lock is not held while it is handled.
            let message = lane.of(generation)?.messages.pop_front();
            self.flush_held_back(message.as_ref());
            let Some(message) = message else { break };
            self.handle(message);
            self.send_some();
            handled += 1;
            if handled % LOOK == 0 {
                self.look(messages)?;
            }
        }
        self.ring_alarms();
        self.send()?;
        self.tell_if_drained();
        Some(())
    }

    /// In a long round answers come first: what a run wants written next waits
    /// for them, and the committer has nothing else to do.
    fn look(&self, messages: &mut Vec<Message>) -> Option<()> {
        self.shared.threads[self.index].take_now(messages);
        let mut state = self.lane().of(self.generation)?;
        let mut answers = VecDeque::new();
        for message in messages.drain(..) {
            let to = if message.is_answer() { &mut answers } else { &mut state.messages };
            to.push_back(message);
        }
        while let Some(answer) = answers.pop_back() {
            state.messages.push_front(answer);
        }
        Some(())
    }

    /// Pushes what is to be written and launches what is to run. None: this
    /// thread was replaced meanwhile.
    fn send(&mut self) -> Option<()> {
        let lane = &self.shared.lanes[self.index];
        {
            let mut state = lane.of(self.generation)?;
            lane.sent(state.items.len());
            self.shared.items.push_all(&mut state.items);
            if self.shared.parts.lease.holds() {
                std::mem::swap(&mut state.launches, &mut self.launches);
            }
        }
        self.unsent = 0;
        self.launcher.launch(&mut self.launches);
        Some(())
    }

    /// In a long round the committer and the steps need not wait for its end.
    pub(super) fn send_some(&mut self) {
        if self.unsent >= ENOUGH {
            // Replaced: the round ends by itself.
            let _replaced = self.send();
        }
    }

    /// Where the run is: it may have come into another slot since.
    pub(super) fn found(&self, ticket: Ticket) -> Ticket {
        if self.is_at(ticket) {
            return ticket;
        }
        match self.held.get(&ticket.run) {
            Some(slot) => Ticket { slot: *slot, ..ticket },
            None => ticket,
        }
    }

    fn is_at(&self, ticket: Ticket) -> bool {
        let run = self.runs.get(ticket.slot).and_then(Option::as_deref);
        run.is_some_and(|run| run.actor.run() == ticket.run)
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Start(new) => self.start(*new),
            Message::Recover(stored) => self.recover(&stored),
            Message::Reread(stored) => self.reread(&stored),
            Message::AllReread => self.lane().state().all_reread(),
            Message::Damaged(run, damage) => self.damaged(run, damage),
            Message::ReadBack(stored) => self.read_back(&stored),
            Message::Stuck(stored) => self.stuck(&stored),
            Message::AllReadBack => {
                self.reading_back = false;
                self.stop_unknown();
            }
            // The next search finds what is missing then.
            Message::Owned(_) if self.reading_back => {}
            Message::Owned(runs) => {
                let missing = runs.into_iter().filter(|run| !self.held.contains_key(run));
                missing.for_each(|run| self.reload(run));
            }
            // Launched at the end of the round.
            Message::Renewed => {}
            Message::Ended(ticket, call, attempt, how) => {
                // Of a run that is yet to be read back, it is known all the same.
                self.with(self.found(ticket), |thread, run| thread.ended(run, call, attempt, how));
            }
            Message::Heartbeat(ticket, call, detail) => {
                self.with(self.found(ticket), |_, run| {
                    Self::heartbeat(run, call, detail);
                    true
                });
            }
            Message::Command(run, command) => {
                if let Some(slot) = self.held.get(&run).copied() {
                    let ticket = self.ticket(slot, run);
                    self.with(ticket, |thread, run| thread.command(run, &command));
                }
            }
            Message::News(news) => self.news(news),
            Message::Answers(answers) => {
                for Reply { from: ticket, answer, item: _written } in answers {
                    if self.is_at(ticket) || self.held.contains_key(&ticket.run) {
                        self.with(ticket, |thread, run| thread.answered(ticket, run, answer));
                        self.send_some();
                    } else {
                        self.answer_asked(ticket.run, answer);
                    }
                }
            }
            Message::Drain(told) => {
                self.draining = true;
                let mut state = self.lane().state();
                (state.draining, state.drain) = (true, Some(told));
            }
        }
    }

    /// Puts a run into a slot.
    pub(super) fn insert(&mut self, run: Run) -> Ticket {
        let number = run.actor.run();
        let slot = self.free.pop().unwrap_or_else(|| {
            self.runs.push(None);
            self.runs.len() - 1
        });
        self.runs[slot] = Some(Box::new(run));
        self.held.insert(number, slot);
        self.ticket(slot, number)
    }

    /// The run, if it is in memory.
    pub(super) fn held(&mut self, run: RunId) -> Option<&mut Run> {
        let slot = *self.held.get(&run)?;
        self.runs.get_mut(slot)?.as_deref_mut()
    }

    pub(super) fn mailer(&self) -> Arc<dyn Mailer> {
        Arc::clone(&self.shared) as Arc<dyn Mailer>
    }

    pub(super) fn heart(&self) -> Arc<dyn Heart> {
        Arc::clone(&self.heart)
    }

    pub(super) fn ticket_of(&self, run: RunId) -> Option<Ticket> {
        self.held.get(&run).map(|slot| self.ticket(*slot, run))
    }

    fn ticket(&self, slot: usize, run: RunId) -> Ticket {
        Ticket { thread: self.index, slot, run }
    }

    /// Calls `body` with the run, if it is still there; then writes what it
    /// wants written. `body` returns whether the run stays in memory.
    pub(super) fn with(&mut self, ticket: Ticket, body: impl FnOnce(&mut Self, &mut Run) -> bool) {
        if self.replaced {
            return;
        }
        let Some(slot) = self.runs.get_mut(ticket.slot) else { return };
        let Some(mut run) = slot.take_if(|run| run.actor.run() == ticket.run) else { return };
        self.lane().begin_turn(ticket.run);
        // Values of users are dropped on the way, and may panic.
        let stays = crate::panics::catch(|| {
            let stays = body(self, &mut run);
            if stays {
                self.deliver_mail(&mut run);
            }
            stays
        });
        if !self.end_turn() {
            return;
        }
        let stays = stays.unwrap_or_else(|panic| {
            tracing::error!(id = %run.actor.id(), "a value of the run {panic}: it is read again");
            run.actor.give_up();
            let waits = !run.actor.is_idle();
            if !waits {
                self.reload(ticket.run);
            }
            waits
        });
        if stays {
            self.flush(ticket, &mut run);
            self.set_alarm(ticket.slot, &mut run);
            self.runs[ticket.slot] = Some(run);
        } else {
            if let Some(alarm) = run.alarm {
                self.alarms.remove(&(alarm, ticket.slot));
            }
            run.abort_all(&self.stopper);
            self.give_back_slot(&mut run);
            self.held.remove(&ticket.run);
            self.lane().state().leaves(ticket.run);
            if run.claimed_again {
                self.reload(ticket.run);
            }
            self.free.push(ticket.slot);
            // Dropping what it holds is user code too.
            self.lane().begin_turn(ticket.run);
            if let Err(panic) = crate::panics::catch(|| drop(run)) {
                tracing::error!("a value of a run {panic} while it was dropped");
            }
            self.end_turn();
        }
    }

    /// A turn returned. False: this thread was replaced meanwhile, and does
    /// nothing more.
    pub(super) fn end_turn(&mut self) -> bool {
        self.replaced = !self.lane().end_turn(self.generation);
        !self.replaced
    }

    /// What the run wants written is sent next; or held back where more of the
    /// run follows at once, so that one item has all of it.
    fn flush(&mut self, ticket: Ticket, run: &mut Run) {
        let Some(mut state) = self.shared.lanes[self.index].of(self.generation) else { return };
        let count = match self.held_back {
            Some((before, count)) if before.run == ticket.run => count + 1,
            _ => 1,
        };
        let follows = state.messages.front().is_some_and(|next| next.is_end_in(ticket.run));
        self.held_back = (follows && count < MANY).then_some((ticket, count));
        if self.held_back.is_none()
            && let Some(item) = run.actor.flush()
        {
            self.lane().underway.sent(&item);
            state.items.push(Envelope { item, from: ticket });
            self.unsent += 1;
        }
    }

    /// Nothing is held back if `next` is of another run.
    fn flush_held_back(&mut self, next: Option<&Message>) {
        if let Some((ticket, _)) = self.held_back
            && !next.is_some_and(|next| next.is_end_in(ticket.run))
        {
            // Also if the run has left memory meanwhile.
            self.held_back = None;
            self.with(ticket, |_, _| true);
        }
    }

    pub(super) fn give_back_slot(&self, run: &mut Run) {
        if std::mem::take(&mut run.has_slot) {
            self.lane().remove_slots(1);
            self.shared.run_slots.give_back(1);
        }
    }

    /// What was asked of a run that waited may have made it work.
    fn take_over_slot(&self, run: &mut Run) {
        if !std::mem::replace(&mut run.has_slot, true) {
            self.shared.run_slots.take_over();
            self.lane().add_slots(1);
        }
    }

    /// When to look at the run without a message: its next timer or attempt,
    /// or when it may leave memory.
    fn set_alarm(&mut self, slot: usize, run: &mut Run) {
        let park_after = self.shared.parts.settings.park_after;
        let waits_for_time = !run.timers.is_empty() || !run.steps.is_empty();
        let alarm = if self.draining || !(waits_for_time || run.only_waits()) {
            None
        } else if run.only_waits() {
            self.give_back_slot(run);
            let since = *run.idle_since.get_or_insert(self.now);
            Some(run.next_due().unwrap_or(Timestamp::NEVER).min(since + park_after))
        } else {
            run.idle_since = None;
            self.take_over_slot(run);
            run.next_due()
        };
        if alarm != run.alarm {
            if let Some(before) = run.alarm {
                self.alarms.remove(&(before, slot));
            }
            if let Some(alarm) = alarm {
                self.alarms.insert((alarm, slot));
            }
            run.alarm = alarm;
        }
    }

    fn ring_alarms(&mut self) {
        while let Some((due, slot)) = self.alarms.first().copied()
            && due <= self.now
        {
            self.alarms.pop_first();
            let Some(Some(run)) = self.runs.get_mut(slot) else { continue };
            run.alarm = None;
            let number = run.actor.run();
            let ticket = self.ticket(slot, number);
            self.with(ticket, |thread, run| thread.alarm(ticket, run));
        }
    }

    fn tell_if_drained(&mut self) {
        if !self.draining {
            return;
        }
        let is_quiet = self.runs.iter().flatten().all(|run| run.actor.is_idle() && !run.is_busy());
        if is_quiet && let Some(told) = self.lane().state().drain.take() {
            // Who asked may have given up.
            let _gone = told.send(());
        }
    }

    /// Has a run read again from the store.
    pub(super) fn reload(&self, run: RunId) {
        // Nobody takes it any more only while the worker stops.
        let _gone = self.shared.reload.push(run);
        self.shared.claim.notify_one();
    }

    /// A number from 0 up to but without 1.
    pub(super) fn fraction(&mut self) -> f64 {
        f64::from(self.chance.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }
}
