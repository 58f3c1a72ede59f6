//! Finds turns that do not return, and gives their lane another thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::lane::Lane;
use super::launch::Launcher;
use super::message::Message;
use super::pace::Watched;
use super::thread::WorkflowThread;
use super::{Shared, spawn};
use crate::error::{Error, ErrorKind};
use crate::model::RunId;
use crate::store::Loaded;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(200);
/// How often is looked whether the committer has answered.
const SETTLE: Duration = Duration::from_millis(5);
/// Runs that are read back together.
const CHUNK: usize = 256;

/// A turn as it was seen first.
struct Seen {
    beat: u64,
    turn: Watched,
}

pub(super) async fn watch(shared: Arc<Shared>, tokio: tokio::runtime::Handle) {
    let clock = Arc::clone(&shared.parts.clock);
    let see =
        |lane: &Lane| Seen { beat: lane.beat().0, turn: Watched::new(clock.now(), lane.sample()) };
    let mut seen: Vec<Seen> = shared.lanes.iter().map(|lane| see(lane)).collect();
    while !shared.stop.load(Ordering::Acquire) {
        for (index, seen) in seen.iter_mut().enumerate() {
            let lane = &shared.lanes[index];
            let (beat, run) = lane.beat();
            let Some(run) = run.filter(|_| beat == seen.beat) else {
                // Nobody asks the system about a thread that is in no turn.
                let sample = run.and_then(|_| lane.sample());
                *seen = Seen { beat, turn: Watched::new(clock.now(), sample) };
                continue;
            };
            let limit = shared.parts.settings.turn_limit;
            if seen.turn.is_stuck(clock.now(), lane.sample(), limit) {
                replace(&shared, index, (beat, run), &tokio).await;
                *seen = see(lane);
            }
        }
        shared.pause(LOOK).await;
    }
}

/// Gives a lane another thread, if the one it has is still in that turn. The
/// run whose turn does not return is set aside, all others are read back; their
/// steps run on.
async fn replace(
    shared: &Arc<Shared>,
    index: usize,
    (turn, stuck): (u64, RunId),
    tokio: &tokio::runtime::Handle,
) {
    let (lane, launcher) = (&shared.lanes[index], Launcher::new(tokio.clone(), shared, index));
    let (generation, mut launches) = {
        let Some(mut state) = lane.begin_anew(turn) else { return };
        lane.sent(state.items.len());
        shared.items.push_all(&mut state.items);
        (state.generation, std::mem::take(&mut state.launches))
    };
    tracing::error!(run = %stuck, "a turn of a workflow does not return: its thread is replaced");
    launcher.launch(&mut launches);
    shared.run_slots.give_back(lane.take_slots());
    // Not before everything that the stuck thread sent is in the store, and not
    // after the new thread has runs of its own.
    let Some(runs) = runs_of(shared, index).await else { return };
    let of = Arc::clone(shared);
    let run = move || WorkflowThread::new(of, index, launcher).replacing(generation).run();
    match spawn(format!("workflow-{index}"), run) {
        Ok(thread) => shared.replacements().push(thread),
        Err(error) => {
            tracing::error!("no thread could be started, and its runs wait: {error}");
            return;
        }
    }
    refuse_start(shared, index, &runs, stuck);
    for chunk in runs.chunks(CHUNK) {
        let Some(loaded) = insist(shared, || shared.parts.store.load(chunk)).await else { return };
        loaded.into_iter().for_each(|(run, loaded)| hand_over(shared, index, stuck, run, loaded));
    }
    // A thread that is gone has nothing to stop.
    let _gone = shared.threads[index].push(Message::AllReadBack);
}

/// The runs of a lane, as soon as everything of them is in the store. None:
/// the worker stops.
async fn runs_of(shared: &Shared, index: usize) -> Option<Vec<RunId>> {
    while !shared.lanes[index].is_settled() {
        if shared.stop.load(Ordering::Acquire) {
            return None;
        }
        shared.pause(SETTLE).await;
    }
    let owned = insist(shared, || shared.parts.store.owned(shared.parts.writer)).await?;
    Some(owned.into_iter().filter(|run| shared.lane_of(*run) == index).collect())
}

/// Asks the store until it answers. None: the worker stops.
async fn insist<T, F>(shared: &Shared, ask: impl Fn() -> F) -> Option<T>
where
    F: Future<Output = Result<T, Error>>,
{
    loop {
        match ask().await {
            Ok(answer) => return Some(answer),
            Err(error) => tracing::warn!("the runs of a thread that was replaced wait: {error}"),
        }
        if shared.stop.load(Ordering::Acquire) {
            return None;
        }
        shared.pause(LOOK).await;
    }
}

/// A start whose first turn does not return never was.
fn refuse_start(shared: &Shared, index: usize, runs: &[RunId], stuck: RunId) {
    if runs.contains(&stuck) {
        return;
    }
    let asked = shared.lanes[index].state().asked.remove(&stuck);
    if let Some(asked) = asked {
        let message = "its first turn does not return: it was not started";
        // Who asked may have given up.
        let _gone = asked.send(Err(Error::new(ErrorKind::Configuration, message)));
    }
}

fn hand_over(shared: &Shared, index: usize, stuck: RunId, run: RunId, loaded: Loaded) {
    let message = match loaded {
        Ok(stored) if stored.record.end.is_some() => return,
        Ok(stored) if run == stuck => Message::Stuck(Box::new(stored)),
        Ok(stored) => Message::ReadBack(Box::new(stored)),
        Err(damage) => Message::Damaged(run, damage),
    };
    shared.run_slots.take_over();
    // A thread that is gone leaves the run to the next life.
    let _gone = shared.threads[index].push(message);
}
