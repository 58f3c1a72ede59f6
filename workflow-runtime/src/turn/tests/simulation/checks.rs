//! What must be true of every run when a simulated world has come to rest.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{result_of, take_trace};
use super::World;
use crate::clock::Timestamp;
use crate::model::{CallId, Decision, Decisions, Event, EventKind, RunId, StoredRun, WriterId};
use crate::turn::Actor;

impl World {
    /// Everything that must be true in the end.
    pub(super) fn check(&self) {
        let accepted: BTreeSet<_> =
            self.ids.keys().copied().filter(|run| self.tables.load(*run).is_some()).collect();
        let ids: BTreeSet<_> = accepted.iter().map(|run| &self.ids[run]).collect();
        assert_eq!(ids.len(), accepted.len(), "one id, two runs");
        for run in accepted {
            let stored = self.tables.load(run).unwrap();
            self.check_run(run, &stored);
        }
    }

    fn check_run(&self, run: RunId, stored: &StoredRun) {
        for (event, seq) in stored.history.iter().zip(1..) {
            assert_eq!(event.seq, seq, "run {run} has a gap");
        }
        let durable = decisions(stored);
        let results: BTreeMap<CallId, &Event> = stored
            .history
            .iter()
            .filter(|event| event.kind == EventKind::Step)
            .map(|event| (event.call.unwrap(), event))
            .collect();
        for ((_, call), effect) in self.effects.iter().filter(|((of, _), _)| *of == run) {
            let decision = &durable[call];
            let args = decision.args.as_deref().unwrap();
            let only = BTreeSet::from([format!("{}{args}", decision.name)]);
            assert_eq!(effect.args, only, "an effect was built on a value that is no history's");
            // At most three attempts in each life that had it in hand.
            assert!(effect.bodies <= effect.lives.len() * 3, "run {run} call {call} ran too often");
        }
        for (call, event) in results {
            assert!(self.effects.contains_key(&(run, call)), "a result without a body");
            let decision = &durable[&call];
            let expected = result_of(&decision.name, decision.args.as_deref().unwrap());
            assert_eq!(event.payload.as_deref(), Some(&*expected), "a result at another call");
        }
        assert!(stored.attempts.is_empty(), "attempts of an ended run are left over");
        self.check_replay(run, stored);
    }

    /// A replay of the whole history repeats what the run did when it ended.
    fn check_replay(&self, run: RunId, stored: &StoredRun) {
        take_trace();
        let program = self.programs[&run];
        let info = Self::info(run, &stored.record.id);
        let mut open = stored.clone();
        open.record.end = None;
        let actor = Actor::recover(
            info,
            Self::identity(WriterId(0)),
            &open,
            Ok(program()),
            Timestamp::from_millis(0),
        );
        // Where a run ended, a replay of it as an open run must say so.
        assert!(actor.is_blocked(), "the replay of an ended run did not end");
        let trace = take_trace();
        if let Some((live, output)) = self.ended.get(&run) {
            assert_eq!(&trace, live, "run {run} replays otherwise than it ran");
            assert_eq!(stored.record.end.as_ref().unwrap().output.as_ref(), output);
        }
    }
}

/// All decisions that are durable, by call.
pub(super) fn decisions(stored: &StoredRun) -> BTreeMap<CallId, Decision> {
    let turns = stored.history.iter().map(|event| event.decided.clone());
    std::iter::once(stored.record.decided.clone())
        .chain(turns)
        .flatten()
        .flat_map(|text| Decisions::read(&text).unwrap().calls)
        .map(|decision| (decision.call, decision))
        .collect()
}
