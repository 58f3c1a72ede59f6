//! Deletes completed runs that are old, in small batches beside the other
//! work.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Parts, Shared};
use crate::error::Error;
use crate::model::RunId;

/// Runs of one batch.
const BATCH: usize = 100;
/// Between two batches: others write, too.
const PAUSE: Duration = Duration::from_millis(20);
/// Numbers follow time but for the blocks that a process took long ago and
/// has not used up: so much that is young ends a pass.
const YOUNG: u32 = 8;
/// Between two passes over all runs.
const PASS: Duration = Duration::from_secs(60);

pub(super) async fn retain(shared: Arc<Shared>) {
    let Some(keep) = shared.parts.settings.keep_completed else { return };
    while !shared.stop.load(Ordering::Acquire) {
        match pass(&shared, keep).await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "completed runs were deleted: they were old"),
            Err(error) => tracing::debug!("old runs wait to be deleted: {error}"),
        }
        shared.pause(PASS.min(keep.max(PAUSE))).await;
    }
}

/// Deletes what is old now; returns how much.
async fn pass(shared: &Shared, keep: Duration) -> Result<u64, Error> {
    let Parts { store, clock, .. } = &shared.parts;
    let (mut after, mut deleted, mut young) = (RunId(0), 0, 0);
    loop {
        let old = store.old(after, clock.now() - keep).await?;
        for batch in old.runs.chunks(BATCH) {
            deleted += u64::from(store.delete(batch).await?);
            shared.pause(PAUSE).await;
            if shared.stop.load(Ordering::Acquire) {
                return Ok(deleted);
            }
        }
        young = if old.is_young { young + 1 } else { 0 };
        match old.next {
            Some(next) if young < YOUNG => after = next,
            _ => return Ok(deleted),
        }
    }
}
