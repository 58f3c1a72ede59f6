//! One run, one store, every commit answered at once: what the tests of rules and
//! of all orders drive.

use std::cell::Cell;
use std::sync::Arc;

use super::{result_of, take_trace};
use crate::clock::Timestamp;
use crate::model::{Answer, Blocked, CallId, Item, RunId, StoredRun, WorkflowFuture, WriterId};
use crate::store::Tables;
use crate::turn::actor::Fate;
use crate::turn::{Actor, Identity, RunInfo, Target};

pub(super) type Code = fn() -> WorkflowFuture;

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

thread_local! {
    /// Whether other arguments of a call that has its result are a mismatch.
    pub(super) static STRICT: Cell<bool> = const { Cell::new(true) };
}

/// One run, one store, every commit answered at once.
pub(super) struct Bench {
    pub(super) tables: Tables,
    pub(super) actor: Actor,
    pub(super) running: Vec<CallId>,
    pub(super) now: i64,
    pub(super) fate: Option<Fate>,
}

impl Bench {
    pub(super) fn identity(writer: i64) -> Identity {
        Identity { writer: WriterId(writer), build: "b1".into(), workflow: "w".into() }
    }

    pub(super) fn info() -> RunInfo {
        RunInfo {
            workflow: "test".into(),
            run: RunId(1),
            id: "order-1".into(),
            seed: 3,
            meta: None,
            payload_limit: 1 << 20,
            history_limit: 1_000,
            strict: STRICT.get(),
            generation: 1,
            parent: None,
            mailbox_limit: 100,
        }
    }

    pub(super) fn start(code: Code) -> Self {
        let actor =
            Actor::start(Self::info(), Self::identity(1), "[]".into(), Ok(code()), at(1_000));
        Self::around(Tables::default(), actor, 1_000)
    }

    pub(super) fn around(tables: Tables, actor: Actor, now: i64) -> Self {
        let mut bench = Self { tables, actor, running: Vec::new(), now, fate: None };
        let frontier = bench.actor.frontier_after_start();
        bench.running.extend(frontier);
        bench.commit();
        bench
    }

    /// The process dies; `code` goes on in the next one.
    pub(super) fn crash(mut self, code: Code) -> Self {
        let stored = self.stored();
        let now = self.now + 100;
        self.tables.seize(RunId(1), WriterId(now), at(now));
        take_trace();
        let actor = Actor::recover(Self::info(), Self::identity(now), &stored, Ok(code()), at(now));
        Self::around(self.tables, actor, now)
    }

    pub(super) fn stored(&self) -> StoredRun {
        self.tables.load(RunId(1)).unwrap()
    }

    pub(super) fn commit(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        while let Some(item) = self.actor.flush() {
            let answer = self.tables.commit(std::slice::from_ref(&item)).remove(0);
            items.push(item);
            self.answer(answer);
        }
        items
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        let effects = self.actor.answered(answer, at(self.now));
        self.running.retain(|call| !effects.abort.contains(call));
        self.running.extend(effects.launch);
        self.fate = effects.fate.or(self.fate.take());
    }

    /// Ends the call at that place of the running ones.
    pub(super) fn end(&mut self, place: usize) {
        let call = self.running.remove(place);
        self.now += 10;
        let spec = self.actor.call(call).unwrap().clone();
        let outcome: Arc<str> = if let Target::Timer { .. } = spec.target {
            "null".into()
        } else {
            result_of(spec.name, &spec.args).into()
        };
        self.actor.deliver(call, outcome.into(), at(self.now));
        self.commit();
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.running.iter().filter_map(|call| Some(self.actor.call(*call)?.name)).collect()
    }

    pub(super) fn report(&self) -> Option<Blocked> {
        let open = self.stored().record.open?;
        open.blocked.map(|text| Blocked::from_json(&text))
    }
}

impl Actor {
    /// Steps that a recovered run starts at once; none of a new one.
    fn frontier_after_start(&mut self) -> Vec<CallId> {
        if self.is_new() { Vec::new() } else { self.frontier() }
    }
}
