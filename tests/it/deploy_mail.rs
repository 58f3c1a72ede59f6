//! Changed code meets runs that wrote to others. `VERSION` stands for the
//! deploy: nothing else of a workflow may depend on such a thing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use workflow_runtime::{
    BlockedKind, Filter, OnParentEnd, Result, Runtime, durable, signal, step, workflow,
};
use workflow_tests::Place;

use crate::steps::{World, builder};

static VERSION: AtomicU32 = AtomicU32::new(0);

fn version() -> u32 {
    VERSION.load(Ordering::SeqCst)
}

/// What the workflow does between its two steps, or beside the last.
const NOTHING: u32 = 0;
const SENDS: u32 = 1;
const SENDS_TWO: u32 = 2;
const SENDS_TWO_SWAPPED: u32 = 3;
const STARTS: u32 = 4;
/// And does not wait for its end.
const LEAVES: u32 = 5;
/// Its child is in flight while the last step is.
const RACES: u32 = 6;

#[signal]
struct Notice {
    about: u32,
}

#[step]
async fn weigh() -> Result<u32> {
    Ok(4)
}

#[step]
async fn load(#[state] world: &World) -> Result<()> {
    world.count();
    if world.bodies() == 1 {
        std::future::pending::<()>().await;
    }
    Ok(())
}

#[workflow]
async fn escort(about: u32) -> Result<u32> {
    Ok(about)
}

/// Until it is cancelled.
#[workflow]
async fn patrol() -> Result<()> {
    workflow::receive::<Notice>().await;
    Ok(())
}

/// What it was told of before the last notice.
#[workflow]
async fn tower() -> Result<Vec<u32>> {
    let mut told = Vec::new();
    loop {
        match workflow::receive::<Notice>().await.about {
            0 => return Ok(told),
            about => told.push(about),
        }
    }
}

#[durable]
async fn tells(about: u32) -> Result<()> {
    workflow::send("tower", Notice { about }).await
}

#[workflow]
async fn departs() -> Result<()> {
    let weight = weigh().await?;
    match version() {
        SENDS => tells(weight).await?,
        SENDS_TWO => {
            tells(weight).await?;
            tells(weight + 1).await?;
        }
        SENDS_TWO_SWAPPED => {
            tells(weight + 1).await?;
            tells(weight).await?;
        }
        STARTS => drop(workflow::start(escort(weight)).await?),
        LEAVES => {
            drop(workflow::start(escort(weight).on_parent_end(OnParentEnd::Abandon)));
        }
        RACES => {
            return workflow::select! {
                loaded = load() => loaded,
                patrolled = patrol() => patrolled,
            };
        }
        _ => {}
    }
    load().await
}

async fn life(place: &Place, world: &Arc<World>, version: u32) -> Runtime {
    VERSION.store(version, Ordering::SeqCst);
    builder(place, world)
        .build_id(format!("build {version}"))
        .shutdown_grace(Duration::ZERO)
        .build()
        .await
        .unwrap()
}

/// Until the last step is in flight: what stood before it is done.
async fn until_loading(place: &Place, world: &Arc<World>, version: u32) {
    let runtime = life(place, world, version).await;
    runtime.start(tower().id("tower")).await.unwrap();
    runtime.start(departs().id("d")).await.unwrap();
    while world.bodies() < 1 {
        tokio::task::yield_now().await;
    }
    runtime.shutdown().await.unwrap();
}

/// A message that is sent twice, a child that is started although nobody asked,
/// or one that was and is forgotten: each is found before anything is written.
#[tokio::test]
async fn inserted_and_removed_sends_and_starts_are_reported_before_anything_is_sent() {
    let cases = [
        (SENDS, NOTHING, "else { workflow::send(.., Notice { .. }).await?; }"),
        (NOTHING, SENDS, "if workflow::patched(\"Notice\") { workflow::send"),
        (SENDS_TWO, SENDS_TWO_SWAPPED, "{ workflow::send(.., Notice { ..new.. }) } else {"),
        (STARTS, NOTHING, "else { escort(..).await?; }"),
        (NOTHING, STARTS, "if workflow::patched(\"escort\") { escort(..).await?; }"),
        (LEAVES, NOTHING, "child escort(4)"),
        (NOTHING, LEAVES, "child escort(4)"),
        (RACES, NOTHING, "if !workflow::patched(\"without-patrol\") { patrol(..).await?; }"),
        (NOTHING, RACES, "if workflow::patched(\"patrol\") { patrol(..).await?; }"),
        (SENDS, STARTS, "child escort(4)"),
    ];
    for (before, after, told) in cases {
        let (place, world) = (Place::new(), Arc::<World>::default());
        until_loading(&place, &world, before).await;
        let changed = life(&place, &world, after).await;
        let run = changed.handle(departs, "d");
        let report = loop {
            if let Some(report) = run.blocked().await.unwrap() {
                break report;
            }
            assert!(!run.status().await.unwrap().is_ended());
            tokio::task::yield_now().await;
        };
        assert_eq!(report.kind(), BlockedKind::Mismatch);
        let text = report.to_string();
        assert!(text.contains(told) && text.contains("Nothing was executed"), "{text}");
        // The last notice, after all that were sent.
        let tower = changed.handle(tower, "tower");
        tower.send(Notice { about: 0 }).await.unwrap();
        let was_told: &[u32] = match before {
            SENDS => &[4],
            SENDS_TWO => &[4, 5],
            _ => &[],
        };
        assert_eq!(tower.result().await.unwrap(), was_told);
        let runs = changed.client().list(Filter::default()).await.unwrap().runs().len();
        assert_eq!(runs, 2 + usize::from([STARTS, LEAVES, RACES].contains(&before)));
        changed.shutdown().await.unwrap();
        let fixed = life(&place, &world, before).await;
        fixed.handle(departs, "d").result().await.unwrap();
        fixed.shutdown().await.unwrap();
    }
}
