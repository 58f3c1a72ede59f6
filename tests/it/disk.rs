//! Disks that are full or read-only: workflows wait, and none fails.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use workflow_runtime::{Builder, ErrorKind, Result, Status, step, workflow};
use workflow_tests::disk::{Disk, skip};
use workflow_tests::{Ledger, Place, runtime};

use crate::forms::loud;
use crate::power::wait_until;
use crate::steps::World;

#[step]
async fn fill(#[state] world: &World, bytes: usize) -> Result<String> {
    world.count();
    Ok("x".repeat(bytes))
}

#[workflow]
async fn fills(bytes: usize) -> Result<usize> {
    let one = fill(bytes).await?;
    let two = fill(bytes).await?;
    Ok(one.len() + two.len())
}

/// A runtime of this binary on that file; its ledger stands elsewhere.
pub(crate) fn builder(file: &Path, beside: &Place, world: &Arc<World>) -> Builder {
    let ledger = Ledger::open(&beside.path("ledger"));
    runtime(file).shared_state(Arc::clone(world)).state(ledger).shared_state(loud())
}

/// Takes all room but so many bytes.
pub(crate) fn ballast(path: &Path, room: u64) {
    let mut file = File::create(path).unwrap();
    let block = vec![0; 64 << 10];
    while file.write_all(&block).is_ok() {}
    let taken = file.metadata().unwrap().len();
    file.set_len(taken - room).unwrap();
    // What was given back can be used after that.
    file.sync_all().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_workflows_wait_and_go_on_when_there_is_room() {
    let disk = match Disk::new(24) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let (place, world) = (Place::new(), Arc::<World>::default());
    let file = disk.root().join("test.db");
    let runtime = builder(&file, &place, &world).build().await.unwrap();
    let first = runtime.start(fills(10)).await.unwrap();
    assert_eq!(first.result().await.unwrap(), 20);
    // For the starts, not for the results.
    ballast(&disk.root().join("ballast"), 256 << 10);
    let starter = runtime.clone();
    let starting = tokio::spawn(async move {
        let runs = (0..20).map(|_| starter.start(fills(60_000)));
        futures::future::join_all(runs).await
    });
    wait_until("steps run", || world.bodies() > 2);
    tokio::task::spawn_blocking(|| pause(1_000)).await.unwrap();
    assert!(first.result().await.is_ok(), "reads go on");
    assert!(world.bodies() < 42, "the disk was not full");
    std::fs::remove_file(disk.root().join("ballast")).unwrap();
    for run in starting.await.unwrap() {
        let run = run.unwrap();
        assert_eq!(run.result().within(Duration::from_secs(60)).await.unwrap(), 120_000);
        assert_eq!(run.status().await.unwrap(), Status::Completed);
    }
    assert_eq!(world.bodies(), 42, "a step ran twice");
    runtime.shutdown().await.unwrap();
}

#[expect(clippy::disallowed_methods, reason = "the disk is full for a while")]
fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

#[tokio::test]
async fn a_read_only_disk_is_refused_with_a_reason() {
    let disk = match Disk::new(16) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let (place, world) = (Place::new(), Arc::<World>::default());
    let file = disk.root().join("test.db");
    let runtime = builder(&file, &place, &world).build().await.unwrap();
    runtime.shutdown().await.unwrap();
    disk.set_read_only(true).unwrap();
    let error = builder(&file, &place, &world).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("cannot open"), "{error}");
    disk.set_read_only(false).unwrap();
    let runtime = builder(&file, &place, &world).build().await.unwrap();
    let run = runtime.start(fills(3)).await.unwrap();
    assert_eq!(run.result().await.unwrap(), 6);
    runtime.shutdown().await.unwrap();
}
