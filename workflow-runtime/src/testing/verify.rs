//! What is checked after every run of a test, without a word of the test.

use super::world::World;
use crate::model::{Blocked, Event, Limits, RunId, RunQuery, RunRecord, StoredRun};
use crate::registry::Registry;
use crate::store::Store;
use crate::turn::{RunInfo, verify};

/// A replay on a fresh thread sees other hash keys and other thread-locals, and
/// the second one other hash keys again.
const REPLAYS: usize = 2;

/// Replays a history; says what is wrong.
pub(super) fn replay(
    registry: &Registry,
    record: &RunRecord,
    history: &[Event],
    limits: Limits,
) -> Result<(), String> {
    let Some(definition) = registry.find(&record.workflow) else {
        return Err(format!("the program has no workflow `{}`", record.workflow));
    };
    let begun = crate::panics::catch(|| (definition.begin)(&record.args, limits));
    let future = begun.map_err(|panic| panic.to_string())?;
    let future = future.map_err(|error| format!("its arguments cannot be read: {error}"))?;
    let info = RunInfo::of(record, limits, true);
    verify(info, future, record, history).map_err(|fault| fault.explain())
}

/// Replays it on a thread of its own.
pub(super) fn replay_apart(
    record: RunRecord,
    history: Vec<Event>,
    limits: Limits,
) -> Result<(), String> {
    let replays = move || {
        let registry = Registry::new(&[]).map_err(|error| error.to_string())?;
        (0..REPLAYS).try_for_each(|_| replay(&registry, &record, &history, limits))
    };
    #[cfg(feature = "sanitize")]
    let replays = workflow_sanitize::inherited(replays);
    let thread = std::thread::Builder::new().name("replay".to_owned()).spawn(replays);
    let thread = thread.map_err(|error| format!("no thread could be started: {error}"))?;
    thread.join().unwrap_or_else(|_| Err("the replay panicked".to_owned()))
}

/// The runs of a test as they are in the store, and what they began themselves.
pub(super) async fn stored(world: &World, store: &dyn Store) -> Vec<StoredRun> {
    let all = store.list(RunQuery { limit: u32::MAX, ..RunQuery::default() }).await;
    let loaded = match all {
        Ok(all) => {
            let runs: Vec<RunId> = all.iter().rev().map(|one| RunId(one.run)).collect();
            store.load(&runs).await
        }
        Err(error) => Err(error),
    };
    match loaded {
        Ok(loaded) => loaded.into_iter().filter_map(|(_, stored)| stored.ok()).collect(),
        Err(error) => {
            world.violation(format!("the runs cannot be read: {error}"));
            Vec::new()
        }
    }
}

/// Looks at each run: is it blocked, does its history replay.
pub(super) fn check(world: &World, stored: &[StoredRun], limits: Limits) {
    let may_block = world.state().may_block;
    for run in stored {
        let blocked = run.record.open.as_ref().and_then(|open| open.blocked.as_ref());
        match blocked {
            Some(_) if may_block => {}
            Some(report) => world.violation(format!(
                "run `{}` is blocked: {}",
                run.record.id,
                Blocked::from_json(report).message()
            )),
            None => {
                let replayed = replay_apart(run.record.clone(), run.history.clone(), limits);
                if let Err(error) = replayed {
                    world.violation(format!("run `{}` does not replay: {error}", run.record.id));
                }
            }
        }
    }
}
