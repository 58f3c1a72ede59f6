//! The events of a test: attempts begin and end, time passes.

use std::sync::Arc;
use std::time::Duration;

use super::calls::CallRecord;
use super::drive::{Driver, Label, Running};
use super::mock::Played;
use super::plan::Fault;
use super::world::Place;
use crate::text::cut;
use crate::worker::Attempt;

/// How long a step that asked for `step::cancelled` may go on after it.
const GRACE: Duration = Duration::from_secs(10);

/// Longest shown value, in bytes.
const SHOWN: usize = 100;

/// What can happen next; each in a life.
#[derive(Clone, Copy, Debug)]
enum Action {
    Begin {
        life: usize,
        at: usize,
    },
    Deliver {
        life: usize,
        at: usize,
    },
    /// Something is due.
    Ring {
        life: usize,
    },
    /// Time passes first.
    Wait,
}

impl Driver {
    /// Lets one event happen. False: none can.
    pub(super) fn act(&mut self) -> bool {
        self.end_zombies();
        let possible = self.possible();
        if possible.is_empty() {
            return false;
        }
        let chosen = self.world.choose(possible.len());
        match possible.get(chosen) {
            Some(Action::Begin { life, at }) => self.begin_attempt(*life, *at),
            Some(Action::Deliver { life, at }) => self.deliver(*life, *at),
            Some(Action::Ring { life }) => {
                self.waits = false;
                self.round(*life);
            }
            Some(Action::Wait) => {
                self.world.note("time passes first");
                self.waits = true;
            }
            None => return false,
        }
        true
    }

    fn possible(&self) -> Vec<Action> {
        let now = self.world.now();
        let mut possible = Vec::new();
        let lives = || self.lives.iter().enumerate();
        if !self.waits {
            for (life, one) in lives() {
                possible.extend((0..one.held.len()).map(|at| Action::Begin { life, at }));
            }
            for (life, one) in lives() {
                possible.extend((0..one.ready.len()).map(|at| Action::Deliver { life, at }));
            }
        }
        let alarms = || lives().filter_map(|(life, one)| Some((life, one.worker.alarm()?)));
        let due = alarms().filter(|(_, alarm)| *alarm <= now);
        possible.extend(due.map(|(life, _)| Action::Ring { life }));
        let later = alarms().any(|(_, alarm)| alarm > now);
        if self.world.state().explores && later && !possible.is_empty() {
            possible.push(Action::Wait);
        }
        possible
    }

    /// The process ends at this place, if that was planned.
    fn crashes(&mut self, place: Place, label: &Label, what: &str) -> bool {
        let crashes = self.world.pass(place, Some(label.step), None) == Some(Fault::Crash);
        if crashes {
            self.world.note(format!("CRASH {what} {} of `{}`", label.step, label.workflow_id));
            self.crash();
        }
        crashes
    }

    fn begin_attempt(&mut self, life: usize, at: usize) {
        let attempt = self.lives[life].held.remove(at);
        let step = attempt.definition().named.name;
        let label = Label { step, workflow_id: Arc::clone(attempt.workflow_id()) };
        if self.crashes(Place::BeforeAttempt, &label, "before") {
            return;
        }
        self.record(&attempt);
        if self.crashes(Place::BeforeEffect, &label, "in") {
            return;
        }
        let (definition, limits) = (attempt.definition(), self.settings.limits);
        let played = Played::new(&self.world, definition, limits, attempt.number());
        let (cancel, world) = (attempt.cancel(), Arc::clone(&self.world));
        let ends = attempt.begin(limits, move |args| played.begin(args));
        self.serial += 1;
        let serial = self.serial;
        let task = self.tasks.spawn(async move {
            let ended = ends.await;
            world.state().ended.push((serial, ended));
        });
        let running = Running { task, label, cancel, until: None };
        self.lives[life].running.insert(serial, running);
    }

    /// What was called is kept, and looked at.
    fn record(&self, attempt: &Attempt) {
        let step = attempt.definition().named.name;
        let (run, call, key) = (attempt.run(), attempt.call(), attempt.key());
        let (number, id, args) = (attempt.number(), attempt.workflow_id(), attempt.args());
        let at = self.world.now();
        self.world.note(format!(
            "run    {step}{} of `{id}`, attempt {number}",
            in_brackets(&cut(args, SHOWN))
        ));
        let mut state = self.world.state();
        let life = state.life;
        let mut wrong = Vec::new();
        // Where two processes have a run, one may not know yet what the other wrote.
        if state.checkpoints.contains(&(run, call)) && !state.two {
            wrong.push(format!("step `{step}` runs again although its result is durable"));
        }
        let repeated = state.calls.iter().any(|other| {
            (other.run, other.call, other.attempt, other.life) == (run, call, number, life)
        });
        if repeated && !state.two {
            wrong.push(format!("attempt {number} of step `{step}` is made twice in one life"));
        }
        for other in &state.calls {
            let same = (other.run, other.call) == (run, call);
            if same != (other.key == key) {
                wrong.push(format!("the idempotency key of step `{step}` is not its own"));
                break;
            }
        }
        let (args, workflow_id) = (Arc::clone(args), Arc::clone(id));
        let attempt = number;
        state.calls.push(CallRecord { step, run, call, args, attempt, key, workflow_id, at, life });
        drop(state);
        wrong.into_iter().for_each(|wrong| self.world.violation(wrong));
    }

    fn deliver(&mut self, life: usize, at: usize) {
        let (ended, label) = self.lives[life].ready.remove(at);
        if self.crashes(Place::AfterEffect, &label, "after") {
            return;
        }
        self.lives[life].worker.deliver(ended);
    }

    /// Attempts that ended, and those that nobody waits for any more.
    pub(super) fn collect(&mut self) {
        let ended = std::mem::take(&mut self.world.state().ended);
        for (serial, ended) in ended {
            for life in &mut self.lives {
                let Some(running) = life.running.remove(&serial) else { continue };
                life.worker.leave_slot();
                life.held.extend(life.worker.launched());
                let Label { step, workflow_id } = &running.label;
                let how = if ended.is_failed() { "failed" } else { "done  " };
                let text = cut(ended.text(), SHOWN).to_string();
                self.world.note(format!("{how} {step} of `{workflow_id}`: {text}"));
                life.ready.push((ended, running.label));
                break;
            }
        }
        self.stop_unwanted();
    }

    fn stop_unwanted(&mut self) {
        let now = self.world.now();
        for life in &mut self.lives {
            let mut stopped = Vec::new();
            for (serial, running) in &mut life.running {
                if !running.cancel.is_fired() {
                    continue;
                }
                let grace = if running.cancel.is_watched() { GRACE } else { Duration::ZERO };
                if *running.until.get_or_insert(now + grace) <= now {
                    stopped.push(*serial);
                }
            }
            for serial in stopped {
                let Some(running) = life.running.remove(&serial) else { continue };
                self.tasks.drop_one(running.task);
                life.worker.leave_slot();
                life.held.extend(life.worker.launched());
                let Label { step, workflow_id } = &running.label;
                self.world.note(format!("stop   {step} of `{workflow_id}`: nobody waits for it"));
            }
        }
    }
}

/// A JSON list as the arguments of a call.
fn in_brackets(list: &str) -> String {
    let inner = list.strip_prefix('[').unwrap_or(list);
    format!("({})", inner.strip_suffix(']').unwrap_or(inner))
}
