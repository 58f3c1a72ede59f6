//! What becomes of runs: answers of the store, commands, time.

use std::sync::Arc;

use super::message::Ticket;
use super::run::Run;
use super::thread::WorkflowThread;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::model::{Answer, CallId, Command, CommandKind, RunId};
use crate::store::{Accepted, terminated};
use crate::turn::{Effects, Fate};

impl WorkflowThread {
    /// A blocked run stays while its steps run: their results are kept.
    pub(super) fn stays(run: &Run) -> bool {
        !run.actor.is_blocked() || run.is_busy() || !run.actor.is_idle()
    }

    pub(super) fn answered(&mut self, ticket: Ticket, run: &mut Run, answer: Answer) -> bool {
        let effects = run.actor.answered(answer, self.now);
        let Effects { accepted, launch, abort, recorded, undelivered, reaches_others, fate } =
            effects;
        if accepted {
            self.accept(ticket.run, Ok(Accepted::Started));
        }
        run.abort_these(&abort, &self.stopper);
        self.recorded(ticket, run, recorded);
        if reaches_others {
            self.queued();
        }
        match fate {
            None => {
                self.not_delivered(run, &undelivered);
                self.launch(ticket, run, launch);
                Self::stays(run)
            }
            Some(fate) => self.conclude(ticket, run, fate),
        }
    }

    fn accept(&self, run: RunId, what: Result<Accepted, Error>) {
        let asked = self.lane().state().asked.remove(&run);
        if let Some(asked) = asked {
            // Who asked may have given up; the run goes on all the same.
            let _gone = asked.send(what);
        }
    }

    /// The answer to an item of a run that another thread had: whoever asked
    /// for its start is told.
    pub(super) fn answer_asked(&self, run: RunId, answer: Answer) {
        match answer {
            Answer::Taken(holder) => self.accept(run, Ok(Accepted::Taken(holder))),
            Answer::Used => self.accept(run, Ok(Accepted::Used)),
            Answer::Refused(reason) => self.accept(run, Err(refused(&reason))),
            Answer::Committed | Answer::Undelivered(_) => self.accept(run, Ok(Accepted::Started)),
            Answer::Conflict | Answer::MissingPredecessor | Answer::NotEnded => {}
        }
    }

    /// What became of a run; returns whether it stays in memory.
    fn conclude(&mut self, ticket: Ticket, run: &mut Run, fate: Fate) -> bool {
        match fate {
            Fate::Ended(end) => {
                let is_last = end.is_last();
                self.shared.parts.endings.tell(ticket.run, end);
                if let Some(fleet) = &self.shared.fleet {
                    fleet.announce_ends();
                }
                if !is_last {
                    self.queued();
                }
            }
            Fate::Parked => {
                self.shared.parts.endings.leave(ticket.run);
                self.shared.claim.notify_one();
            }
            Fate::Queued => {
                self.shared.parts.endings.leave(ticket.run);
                self.queued();
            }
            Fate::Blocked => {
                self.shared.parts.endings.leave(ticket.run);
                return Self::stays(run);
            }
            Fate::Used => self.accept(ticket.run, Ok(Accepted::Used)),
            Fate::Taken(holder) => self.accept(ticket.run, Ok(Accepted::Taken(holder))),
            Fate::Refused(reason) => self.accept(ticket.run, Err(refused(&reason))),
            Fate::ReadAgain => self.reload(ticket.run),
            Fate::Lost(answer) => {
                tracing::warn!(
                    id = %run.actor.id(),
                    "the store does not have what this process wrote ({answer:?}): the run is \
                     read again"
                );
                self.reload(ticket.run);
            }
        }
        false
    }

    /// There is something to claim.
    fn queued(&self) {
        if let Some(fleet) = &self.shared.fleet {
            // Another worker may have room.
            fleet.announce();
        }
        self.shared.claim.notify_one();
    }

    /// Somebody asked something of a run in memory.
    pub(super) fn command(&mut self, run: &mut Run, command: &Command) -> bool {
        match command.kind {
            CommandKind::Cancel => {
                run.actor.cancelled(command, self.now);
                self.settle_dropped(run);
                Self::stays(run)
            }
            CommandKind::Terminate => {
                // The store has its end already.
                let end = terminated(command);
                self.shared.parts.endings.tell(run.actor.run(), end);
                false
            }
            CommandKind::Retry | CommandKind::Redrive => true,
        }
    }

    pub(super) fn deliver_timer(&self, run: &mut Run, call: CallId) {
        // A timer that a turn just before dropped is discarded.
        run.actor.deliver(call, Arc::<str>::from("null").into(), self.now);
    }

    /// Something of the run is due, or it has waited long enough to leave
    /// memory.
    pub(super) fn alarm(&mut self, ticket: Ticket, run: &mut Run) -> bool {
        let due = run.next_due().is_some_and(|due| due <= self.now);
        if due && !self.take_slot(run) {
            // It gets its turn when a slot is free.
            let soon = self.now + std::time::Duration::from_millis(1);
            self.park(run, soon);
            return true;
        }
        for call in run.due_timers(self.now) {
            self.deliver_timer(run, call);
        }
        self.settle_dropped(run);
        // A timer just now may have dropped some.
        for call in run.due_attempts(self.now) {
            if !run.actor.is_waiting(call) {
                run.steps.remove(&call);
                continue;
            }
            self.attempt(ticket, run, call);
        }
        let Some(since) = run.idle_since.filter(|_| run.only_waits()) else { return true };
        let park_after = self.shared.parts.settings.park_after;
        let due = run.next_due().unwrap_or(Timestamp::ASLEEP);
        if since + park_after <= self.now && self.now < due {
            self.park(run, due);
        }
        true
    }

    /// Whether the run holds a slot now.
    fn take_slot(&self, run: &mut Run) -> bool {
        if !run.has_slot && self.shared.run_slots.take(1) == 1 {
            self.lane().add_slots(1);
            run.has_slot = true;
        }
        run.has_slot
    }

    fn park(&self, run: &mut Run, due: Timestamp) {
        run.timers.clear();
        run.steps.clear();
        run.actor.park(due);
    }
}

fn refused(reason: &str) -> Error {
    Error::new(ErrorKind::Unstorable, format!("the store refuses the start: {reason}"))
}
