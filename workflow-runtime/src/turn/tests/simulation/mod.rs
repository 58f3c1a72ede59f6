//! Many workers, one store, everything goes wrong, in an order made from a
//! seed: lost replies, lost requests, crashes, zombies, races for one id,
//! parked runs, failed attempts, deploys of changed code. The real actors and
//! the reference store run; only the world around them is made up.
//!
//! `SIM_SEEDS=100000 cargo test -p workflow-runtime simulation` runs more;
//! `SIM_SEED=17` runs one, which is how a failure is repeated.

mod checks;
mod schedule;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::chance::Rng;
use super::programs::{Program, changed};
use super::take_trace;
use crate::clock::Timestamp;
use crate::model::{Answer, CallId, Item, RunId, StoredRun, WriterId};
use crate::store::Tables;
use crate::turn::actor::{Effects, Fate};
use crate::turn::{Actor, Identity, RunInfo, Target};
use checks::decisions;

/// A run in the memory of one process.
struct Held {
    actor: Actor,
    running: BTreeSet<CallId>,
    backing_off: BTreeSet<CallId>,
    timers: BTreeMap<CallId, Timestamp>,
    attempts: BTreeMap<CallId, u32>,
    trace: Vec<String>,
    /// On its way to the store.
    outbox: Option<Item>,
    /// Which of all lives of all runs this is.
    life: u64,
}

struct Process {
    writer: WriterId,
    runs: BTreeMap<RunId, Held>,
    zombie: bool,
}

#[derive(Default)]
struct Effect {
    /// How often the body ran.
    bodies: usize,
    /// In which lives of the run.
    lives: BTreeSet<u64>,
    args: BTreeSet<String>,
}

struct World {
    rng: Rng,
    now: i64,
    tables: Tables,
    processes: Vec<Process>,
    next_writer: i64,
    lives: u64,
    next_run: i64,
    programs: BTreeMap<RunId, Program>,
    ids: BTreeMap<RunId, String>,
    effects: BTreeMap<(RunId, CallId), Effect>,
    ended: BTreeMap<RunId, (Vec<String>, String)>,
    faults: bool,
    cancels: bool,
    log: Rc<RefCell<Vec<String>>>,
}

const BUILD: &str = "b1";

impl World {
    fn new(seed: u64, faults: bool, log: Rc<RefCell<Vec<String>>>) -> Self {
        Self {
            rng: Rng::new(seed),
            now: 1_000,
            tables: Tables::default(),
            processes: Vec::new(),
            next_writer: 1,
            lives: 0,
            next_run: 100,
            programs: BTreeMap::new(),
            ids: BTreeMap::new(),
            effects: BTreeMap::new(),
            ended: BTreeMap::new(),
            faults,
            cancels: seed.is_multiple_of(3),
            log,
        }
    }

    fn note(&self, text: impl FnOnce() -> String) {
        self.log.borrow_mut().push(format!("{:>6} {}", self.now, text()));
    }

    fn clock(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn spawn_process(&mut self) -> usize {
        let writer = WriterId(self.next_writer);
        self.next_writer += 1;
        self.processes.push(Process { writer, runs: BTreeMap::new(), zombie: false });
        self.processes.len() - 1
    }

    fn next_life(&mut self) -> u64 {
        self.lives += 1;
        self.lives
    }

    fn identity(writer: WriterId) -> Identity {
        Identity { writer, build: BUILD.into(), workflow: "w".into() }
    }

    fn info(run: RunId, id: &str) -> RunInfo {
        RunInfo {
            workflow: "test".into(),
            strict: true,
            generation: 1,
            parent: None,
            mailbox_limit: 100,
            run,
            id: id.into(),
            seed: 7,
            meta: None,
            payload_limit: 1 << 20,
            history_limit: 1_000,
        }
    }

    fn start(&mut self, process: usize, run: RunId, id: &str, program: Program) {
        let now = self.clock();
        let writer = self.processes[process].writer;
        self.note(|| format!("start run {run} id {id} by {writer}"));
        take_trace();
        let info = Self::info(run, id);
        let actor = Actor::start(info, Self::identity(writer), "[]".into(), Ok(program()), now);
        let held = Held::new(actor, take_trace(), self.next_life());
        self.programs.insert(run, program);
        self.ids.insert(run, id.to_owned());
        self.processes[process].runs.insert(run, held);
        self.flush(process, run);
    }

    fn recover(&mut self, process: usize, stored: &StoredRun) {
        let program = self.programs[&stored.record.run];
        // A zombie with the old code would write an old history under the new.
        let alone = self.processes.iter().all(|held| !held.runs.contains_key(&stored.record.run));
        if self.faults
            && alone
            && self.rng.percent(15)
            && self.deploy(process, stored, changed(program))
        {
            return;
        }
        // The changed code, if it could go on with the run.
        self.recover_with(process, stored, self.programs[&stored.record.run]);
    }

    /// Changed code meets the run. True: it cannot go on, and sets the run
    /// aside; nothing was started. Else the run is one of the changed code now.
    fn deploy(&mut self, process: usize, stored: &StoredRun, program: Program) -> bool {
        let (run, now) = (stored.record.run, self.clock());
        let identity =
            Identity { build: "b2".into(), ..Self::identity(self.processes[process].writer) };
        let info = Self::info(run, &stored.record.id);
        take_trace();
        let mut actor = Actor::recover(info, identity, stored, Ok(program()), now);
        if !actor.is_blocked() {
            self.programs.insert(run, program);
            return false;
        }
        self.note(|| format!("changed code is refused by run {run}"));
        assert!(actor.frontier().is_empty(), "a blocked run starts something");
        let item = actor.flush().unwrap();
        assert!(item.events.is_empty(), "a refused run writes no history");
        let answer = self.tables.commit(&[item]).remove(0);
        let effects = actor.answered(answer, now);
        assert!(effects.launch.is_empty(), "a blocked run starts something");
        match effects.fate {
            // The old code is deployed again.
            Some(Fate::Blocked) => {
                self.tables.seize(run, self.processes[process].writer, now);
                let stored = self.tables.load(run).unwrap();
                assert!(stored.record.open.as_ref().unwrap().blocked.is_some());
                self.recover_with(process, &stored, self.programs[&run]);
            }
            other => panic!("blocking was answered by {other:?}"),
        }
        true
    }

    fn recover_with(&mut self, process: usize, stored: &StoredRun, program: Program) {
        let (run, now) = (stored.record.run, self.clock());
        let writer = self.processes[process].writer;
        self.note(|| format!("recover run {run} by {writer} at {} events", stored.history.len()));
        take_trace();
        let info = Self::info(run, &stored.record.id);
        let actor = Actor::recover(info, Self::identity(writer), stored, Ok(program()), now);
        assert!(!actor.is_blocked(), "unchanged code was blocked: {:?}", actor.report());
        let mut held = Held::new(actor, take_trace(), self.next_life());
        for failed in &stored.attempts {
            held.attempts.insert(failed.call, failed.failed);
        }
        // Timers that are due come first, each in its own turn.
        let mut due: Vec<_> = held
            .actor
            .waiting_calls()
            .into_iter()
            .filter_map(|call| {
                let Target::Timer { due } = held.actor.call(call)?.target else { return None };
                (due <= now).then_some((due, call))
            })
            .collect();
        due.sort_unstable();
        take_trace();
        for (_, call) in due {
            held.actor.deliver(call, Arc::<str>::from("null").into(), now);
        }
        held.trace.extend(take_trace());
        let frontier = held.actor.frontier();
        self.processes[process].runs.insert(run, held);
        self.launch(process, run, frontier);
        self.flush(process, run);
    }

    fn held(&mut self, process: usize, run: RunId) -> &mut Held {
        self.processes[process].runs.get_mut(&run).unwrap()
    }

    fn flush(&mut self, process: usize, run: RunId) {
        let held = self.held(process, run);
        if held.outbox.is_none() {
            held.outbox = held.actor.flush();
        }
    }

    /// Commit, then act: what is launched is in the store by now.
    fn launch(&mut self, process: usize, run: RunId, calls: Vec<CallId>) {
        let durable = decisions(&self.tables.load(run).unwrap());
        let held = self.processes[process].runs.get_mut(&run).unwrap();
        for call in calls {
            let spec = held.actor.call(call).unwrap().clone();
            let recorded = durable.get(&call);
            assert_eq!(
                recorded.map(|decision| (&*decision.name, decision.hash)),
                Some((spec.name, Some(spec.hash))),
                "run {run} call {call} starts and is not durable"
            );
            if let Target::Timer { due } = spec.target {
                held.timers.insert(call, due);
            } else {
                held.running.insert(call);
            }
        }
    }

    /// Sends a batch: some of what one process has on its way.
    fn send(&mut self, process: usize) {
        let mut batch = Vec::new();
        for held in self.processes[process].runs.values() {
            if let Some(item) = &held.outbox
                && (batch.is_empty() || self.rng.percent(70))
            {
                batch.push(item.clone());
            }
        }
        if batch.is_empty() {
            return;
        }
        let lost_request = self.faults && self.rng.percent(8);
        if lost_request {
            self.note(|| format!("batch of {} lost", batch.len()));
            return;
        }
        let answers = self.tables.commit(&batch);
        self.note(|| {
            let runs: Vec<_> = batch.iter().map(|item| item.run.0).collect();
            format!("batch of runs {runs:?} by {}: {answers:?}", self.processes[process].writer)
        });
        let lost_reply = self.faults && self.rng.percent(8);
        if lost_reply {
            self.note(|| "reply lost".to_owned());
            return;
        }
        for (item, answer) in batch.iter().zip(answers) {
            self.answered(process, item.run, answer);
        }
    }

    fn answered(&mut self, process: usize, run: RunId, answer: Answer) {
        let now = self.clock();
        let zombies = self.processes.len() > 1;
        let held = self.held(process, run);
        held.outbox = None;
        assert!(answer != Answer::MissingPredecessor, "the store forgets nothing here");
        assert!(answer != Answer::Conflict || zombies, "a conflict without a rival");
        let effects = held.actor.answered(answer, now);
        self.act(process, run, effects);
        if self.processes[process].runs.contains_key(&run) {
            self.flush(process, run);
        }
    }

    fn act(&mut self, process: usize, run: RunId, effects: Effects) {
        let held = self.held(process, run);
        for call in &effects.abort {
            held.running.remove(call);
            held.backing_off.remove(call);
            held.timers.remove(call);
        }
        for failed in effects.recorded {
            held.backing_off.remove(&failed.call);
            held.running.insert(failed.call);
        }
        match effects.fate {
            Some(Fate::Ended(end)) => {
                let held = self.processes[process].runs.remove(&run).unwrap();
                let outcome = (held.trace, end.output.to_string());
                if let Some(before) = self.ended.insert(run, outcome.clone()) {
                    assert_eq!(before, outcome, "run {run} ended twice, differently");
                }
            }
            Some(Fate::Queued) => unreachable!("nothing is queued here"),
            Some(Fate::ReadAgain) => {
                self.processes[process].runs.remove(&run);
                self.reload(process, run);
            }
            Some(Fate::Parked) => drop(self.processes[process].runs.remove(&run)),
            Some(Fate::Taken(holder)) => {
                self.processes[process].runs.remove(&run);
                self.adopt(process, holder);
            }
            Some(Fate::Lost(_)) => {
                self.processes[process].runs.remove(&run);
                self.reload(process, run);
            }
            Some(Fate::Blocked | Fate::Used | Fate::Refused(_)) => {
                panic!("run {run} was blocked or refused")
            }
            None => self.launch(process, run, effects.launch),
        }
    }

    /// The store has another history than this process: it reads it again.
    fn reload(&mut self, process: usize, run: RunId) {
        let stored = self.tables.load(run).unwrap();
        if stored.record.end.is_none() && !self.processes[process].zombie {
            self.recover(process, &stored);
        }
    }

    /// The id belongs to a run that perhaps only a zombie has: take it over.
    fn adopt(&mut self, process: usize, run: RunId) {
        let mut living = self.processes.iter().filter(|process| !process.zombie);
        let held = living.any(|process| process.runs.contains_key(&run));
        let stored = self.tables.load(run).unwrap();
        let owned = stored.record.open.as_ref().is_some_and(|open| open.owner.is_some());
        if owned && !held && !self.processes[process].zombie {
            let (writer, now) = (self.processes[process].writer, self.clock());
            self.tables.seize(run, writer, now);
            self.recover(process, &stored);
        }
    }

    fn open(&self) -> usize {
        self.ids
            .keys()
            .filter(|run| self.tables.load(**run).is_some_and(|s| s.record.end.is_none()))
            .count()
    }
}

impl Held {
    fn new(actor: Actor, trace: Vec<String>, life: u64) -> Self {
        Self {
            actor,
            running: BTreeSet::new(),
            backing_off: BTreeSet::new(),
            timers: BTreeMap::new(),
            attempts: BTreeMap::new(),
            trace,
            outbox: None,
            life,
        }
    }
}
