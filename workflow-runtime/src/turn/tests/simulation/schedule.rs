//! What happens next, by chance, until every run has ended; and the test.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::World;
use crate::model::{AttemptRecord, Command, CommandKind, RunId};
use crate::turn::tests::programs::SHAPES;
use crate::turn::tests::{result_of, take_trace};

impl World {
    /// A step body ends, or a timer is due, in one run of one process.
    fn progress(&mut self, process: usize) {
        let now = self.clock();
        let Some(run) = self.pick_run(process) else { return };
        let held = self.processes[process].runs.get_mut(&run).unwrap();
        let due: Vec<_> =
            held.timers.iter().filter(|(_, due)| **due <= now).map(|(call, _)| *call).collect();
        let ready: Vec<_> = held.running.iter().copied().chain(due).collect();
        if ready.is_empty() {
            return;
        }
        let call = ready[self.rng.below(ready.len())];
        take_trace();
        let outcome: Arc<str> = if held.timers.remove(&call).is_some() {
            "null".into()
        } else {
            held.running.remove(&call);
            // Its run has ended, as far as this process knows.
            let Some(spec) = held.actor.call(call).cloned() else { return };
            let effect = self.effects.entry((run, call)).or_default();
            effect.bodies += 1;
            effect.lives.insert(held.life);
            effect.args.insert(format!("{}{}", spec.name, spec.args));
            let attempt = held.attempts.entry(call).or_insert(0);
            *attempt += 1;
            if *attempt < 3 && self.rng.percent(10) {
                let failed = AttemptRecord { failed: *attempt, ..AttemptRecord::new(call) };
                held.actor.record(failed);
                held.backing_off.insert(call);
                self.flush(process, run);
                return;
            }
            if *attempt > 1 {
                held.actor.settle(call);
            }
            result_of(spec.name, &spec.args).into()
        };
        held.actor.deliver(call, outcome.into(), now);
        assert!(!held.actor.is_blocked(), "unchanged code was blocked in a live turn");
        held.trace.extend(take_trace());
        self.flush(process, run);
    }

    /// Somebody cancels a run, which may be anywhere.
    fn cancel(&mut self) {
        let runs: Vec<_> = self.ids.keys().copied().collect();
        let run = runs[self.rng.below(runs.len())];
        let (kind, at) = (CommandKind::Cancel, self.clock());
        let command = Command { number: 0, kind, by: "ada".into(), reason: None, at };
        let outcome = self.tables.command(run, command);
        self.note(|| format!("run {run} is cancelled: {outcome:?}"));
    }

    /// A process learns what was asked of its runs.
    fn obey(&mut self, process: usize) {
        let (writer, now) = (self.processes[process].writer, self.clock());
        for (run, command) in self.tables.open_commands(writer) {
            let Some(held) = self.processes[process].runs.get_mut(&run) else { continue };
            take_trace();
            held.actor.cancelled(&command, now);
            assert!(!held.actor.is_blocked(), "unchanged code was blocked by a cancellation");
            held.trace.extend(take_trace());
            let failed: Vec<_> = held.attempts.keys().copied().collect();
            for call in failed {
                if held.actor.is_waiting(call) {
                    continue;
                }
                held.attempts.remove(&call);
                held.actor.settle(call);
            }
            self.flush(process, run);
        }
    }

    fn pick_run(&mut self, process: usize) -> Option<RunId> {
        let runs: Vec<_> = self.processes[process].runs.keys().copied().collect();
        if runs.is_empty() { None } else { Some(runs[self.rng.below(runs.len())]) }
    }

    fn park(&mut self, process: usize) {
        let Some(run) = self.pick_run(process) else { return };
        let now = self.clock();
        let held = self.held(process, run);
        let waits = held.running.is_empty() && held.backing_off.is_empty();
        let due = held.timers.values().min().copied();
        if waits
            && held.actor.is_idle()
            && held.outbox.is_none()
            && let Some(due) = due.filter(|due| *due > now)
        {
            held.timers.clear();
            held.actor.park(due);
            self.flush(process, run);
        }
    }

    /// The process dies, or is declared dead and lives on as a zombie; a new
    /// one takes its runs over.
    fn replace(&mut self, process: usize) {
        let zombie = self.rng.percent(60);
        self.note(|| format!("process {} dies, zombie: {zombie}", self.processes[process].writer));
        let runs: Vec<_> = self.processes[process].runs.keys().copied().collect();
        // What it had sent may still arrive.
        if self.rng.percent(30) {
            let batch: Vec<_> =
                self.processes[process].runs.values().filter_map(|h| h.outbox.clone()).collect();
            self.tables.commit(&batch);
        }
        if zombie {
            self.processes[process].zombie = true;
        } else {
            self.processes.remove(process);
        }
        let new = self.spawn_process();
        for run in runs {
            match self.tables.load(run) {
                Some(stored) if stored.record.end.is_none() => {
                    let (writer, now) = (self.processes[new].writer, self.clock());
                    self.tables.seize(run, writer, now);
                    self.recover(new, &stored);
                }
                Some(stored) => {
                    let ended = stored.record.end.unwrap().output.to_string();
                    let trace = self.ended.get(&run).map(|before| before.0.clone());
                    if let Some(trace) = trace {
                        self.ended.insert(run, (trace, ended));
                    }
                }
                None => {
                    // Never accepted: whoever started it starts it again.
                    let (program, id) = (self.programs[&run], self.ids[&run].clone());
                    self.next_run += 1;
                    self.start(new, RunId(self.next_run), &id, program);
                }
            }
        }
    }

    fn claim(&mut self, process: usize) {
        let (writer, now) = (self.processes[process].writer, self.clock());
        for run in self.tables.claim_due(writer, now) {
            let stored = self.tables.load(run).unwrap();
            self.recover(process, &stored);
        }
    }

    fn tick(&mut self) {
        let process = self.rng.below(self.processes.len());
        match self.rng.below(100) {
            0..30 => self.send(process),
            30..70 => self.progress(process),
            70..90 => self.now += i64::try_from(self.rng.below(12)).unwrap(),
            90..93 => self.park(process),
            93 if self.cancels && self.rng.percent(5) => self.cancel(),
            93 => self.obey(process),
            94..99 if !self.processes[process].zombie => self.claim(process),
            94..99 => {}
            _ if self.faults && !self.processes[process].zombie => self.replace(process),
            _ => {}
        }
    }
}

fn simulate(seed: u64, faults: bool, log: Rc<RefCell<Vec<String>>>) {
    let mut world = World::new(seed, faults, log);
    let first = world.spawn_process();
    let second = if faults && world.rng.percent(30) { world.spawn_process() } else { first };
    for n in 0..=world.rng.below(3) {
        let program = SHAPES[world.rng.below(SHAPES.len())].1;
        let run = i64::try_from(n).unwrap() * 2 + 1;
        world.start(first, RunId(run), &format!("id-{n}"), program);
        if second != first {
            world.start(second, RunId(run + 1), &format!("id-{n}"), program);
        }
    }
    for step in 0.. {
        assert!(step < 200_000, "no progress: {} runs are open", world.open());
        world.tick();
        // What the checks need is settled when no process holds anything.
        if step % 64 == 0
            && world.open() == 0
            && world.processes.iter().all(|p| p.zombie || p.runs.is_empty())
        {
            break;
        }
    }
    world.check();
}

fn run_seed(seed: u64) {
    let log = Rc::new(RefCell::new(Vec::new()));
    let faults = !seed.is_multiple_of(4);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        simulate(seed, faults, Rc::clone(&log));
    }));
    if result.is_err() {
        let log = log.borrow();
        let tail = &log[log.len().saturating_sub(60)..];
        panic!("seed {seed} failed: SIM_SEED={seed} repeats it\n{}", tail.join("\n"));
    }
}

#[test]
fn seeded_schedules_with_every_fault_never_diverge() {
    if let Some(seed) = env_number("SIM_SEED") {
        return run_seed(seed);
    }
    let seeds = env_number("SIM_SEEDS").unwrap_or(2_000);
    for seed in 0..seeds {
        run_seed(seed);
    }
}

fn env_number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}
