//! Finds turns that do not return, and gives their lane another thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::launch::Launcher;
use super::message::Message;
use super::thread::WorkflowThread;
use super::{Parts, Shared, spawn};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::model::RunId;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(200);
/// How long is waited for what the stuck thread sent.
const SETTLE: Duration = Duration::from_secs(5);
/// Runs that are read back together.
const CHUNK: usize = 256;

/// A turn as it was seen first.
struct Seen {
    beat: u64,
    since: Timestamp,
}

pub(super) async fn watch(shared: Arc<Shared>, tokio: tokio::runtime::Handle) {
    let clock = Arc::clone(&shared.parts.clock);
    let mut seen: Vec<Seen> =
        shared.lanes.iter().map(|_| Seen { beat: 0, since: clock.now() }).collect();
    while !shared.stop.load(Ordering::Acquire) {
        for (index, seen) in seen.iter_mut().enumerate() {
            let (beat, run) = shared.lanes[index].beat();
            let now = clock.now();
            if beat != seen.beat || run.is_none() {
                *seen = Seen { beat, since: now };
            } else if let Some(run) = run
                && now.since(seen.since) >= shared.parts.settings.turn_limit
            {
                replace(&shared, index, run, &tokio).await;
                *seen = Seen { beat: shared.lanes[index].beat().0, since: now };
            }
        }
        shared.pause(LOOK).await;
    }
}

/// Gives a lane another thread. The run whose turn does not return is set
/// aside, all others are read back; their steps run on.
async fn replace(shared: &Arc<Shared>, index: usize, stuck: RunId, tokio: &tokio::runtime::Handle) {
    tracing::error!(run = %stuck, "a turn of a workflow does not return: its thread is replaced");
    let lane = &shared.lanes[index];
    let (generation, mut items) = lane.begin_anew();
    lane.sent(items.len());
    shared.items.push_all(&mut items);
    shared.run_slots.give_back(lane.take_slots());
    // Its attempts that wait for a slot are launched again.
    lane.landed(shared.step_slots.forget_thread(index));
    settle(shared, index).await;
    let (of, launcher) = (Arc::clone(shared), Launcher::new(tokio.clone(), shared, index));
    let adopted = std::mem::take(&mut *lane.running());
    let run = move || WorkflowThread::new(of, index, launcher).replacing(generation, adopted).run();
    match spawn(format!("workflow-{index}"), run) {
        Ok(thread) => shared.replacements().push(thread),
        Err(error) => {
            tracing::error!("no thread could be started, and its runs wait: {error}");
            return;
        }
    }
    read_back(shared, index, stuck).await;
}

/// Waits until what the stuck thread sent has arrived.
async fn settle(shared: &Shared, index: usize) {
    let clock = &shared.parts.clock;
    let patience = clock.now() + SETTLE;
    while !shared.lanes[index].is_settled() && clock.now() < patience {
        shared.pause(Duration::from_millis(5)).await;
    }
}

/// Reads the lane's runs back, as soon as the store answers.
async fn read_back(shared: &Shared, index: usize, stuck: RunId) {
    while let Err(error) = try_read_back(shared, index, stuck).await {
        tracing::warn!("the runs of a thread that was replaced wait: {error}");
        if shared.stop.load(Ordering::Acquire) {
            return;
        }
        shared.pause(LOOK).await;
    }
}

async fn try_read_back(shared: &Shared, index: usize, stuck: RunId) -> Result<(), Error> {
    let Parts { store, writer, .. } = &shared.parts;
    let owned = store.owned(*writer).await?;
    let runs: Vec<RunId> = owned.into_iter().filter(|run| shared.lane_of(*run) == index).collect();
    if !runs.contains(&stuck)
        && let Some(asked) = shared.lanes[index].state().asked.remove(&stuck)
    {
        let message = "its first turn does not return: it was not started";
        // Who asked may have given up.
        let _gone = asked.send(Err(Error::new(ErrorKind::Configuration, message)));
    }
    for chunk in runs.chunks(CHUNK) {
        for (run, loaded) in store.load(chunk).await? {
            let message = match loaded {
                Ok(stored) if stored.record.end.is_some() => continue,
                Ok(stored) if run == stuck => Message::Stuck(Box::new(stored)),
                Ok(stored) => Message::Recover(Box::new(stored)),
                Err(damage) => Message::Damaged(run, damage),
            };
            shared.run_slots.take_over();
            // A thread that is gone leaves the run to the next life.
            let _gone = shared.threads[index].push(message);
        }
    }
    Ok(())
}
