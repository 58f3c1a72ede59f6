//! `workflow::restart_with` and `on_mismatch = restart`, on both databases.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use workflow_runtime::{
    BlockedKind, Builder, ErrorKind, FailureKind, Filter, Result, Runtime, Status, step, workflow,
};
use workflow_tests::Place;
use workflow_tests::schema::Schema;

use crate::steps::{World, provided};

/// A database of either kind.
pub(crate) struct Base {
    pub(crate) place: Place,
    pub(crate) world: Arc<World>,
    pub(crate) schema: Option<Schema>,
}

impl Base {
    /// One of each kind that there is.
    pub(crate) fn all() -> Vec<Self> {
        let base = |schema| Self { place: Place::new(), world: Arc::default(), schema };
        let mut all = vec![base(None)];
        all.extend(Schema::new().map(|schema| base(Some(schema))));
        all
    }

    pub(crate) fn builder(&self) -> Builder {
        let builder = match &self.schema {
            Some(schema) => schema.runtime(),
            None => self.place.runtime(),
        };
        provided(builder, &self.place, &self.world).park_after(Duration::ZERO)
    }

    pub(crate) async fn runtime(&self) -> Runtime {
        self.builder().build().await.unwrap()
    }
}

#[step]
async fn counted(#[state] world: &World, n: u32) -> Result<u32> {
    world.count();
    Ok(n)
}

#[workflow]
async fn counts_down(n: u32, sum: u32) -> Result<u32> {
    let sum = sum + counted(n).await?;
    if n == 0 {
        return Ok(sum);
    }
    workflow::restart_with(counts_down(n - 1, sum).meta("generation", n.to_string())).await
}

#[tokio::test]
async fn a_run_goes_on_as_its_next_generation_and_its_handles_follow() {
    for base in Base::all() {
        let runtime = base.runtime().await;
        let run = runtime.start(counts_down(20, 0).id("c").meta("tenant", "a")).await.unwrap();
        assert_eq!(run.result().await.unwrap(), 210);
        assert_eq!(base.world.bodies(), 21);
        assert_eq!(run.status().await.unwrap(), Status::Completed);
        // Only what the last generation did.
        assert!(run.history().await.unwrap().events().len() <= 2);
        let meta = run.meta().await.unwrap();
        assert_eq!((&*meta["tenant"], &*meta["generation"]), ("a", "1"));
        // The first start, given again, finds it; another one does not.
        let again = runtime.start(counts_down(20, 0).id("c")).await.unwrap();
        assert_eq!(again.result().await.unwrap(), 210);
        let other = runtime.start(counts_down(0, 210).id("c")).await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Conflict);
        let page = runtime.client().list(Filter::new()).await.unwrap();
        let statuses: Vec<Status> = page.runs().iter().map(|run| run.status()).collect();
        assert_eq!(statuses.len(), 21);
        assert_eq!(statuses[0], Status::Completed);
        assert!(statuses[1..].iter().all(|status| *status == Status::Continued), "{statuses:?}");
        runtime.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_handle_in_another_process_waits_for_the_last_generation() {
    for base in Base::all() {
        let runtime = base.runtime().await;
        let client = base.builder().connect().await.unwrap();
        let run = client.start(counts_down(5, 0).id("c")).await.unwrap();
        assert_eq!(run.result().await.unwrap(), 15);
        let found = client.handle(counts_down, "c");
        assert_eq!(found.result().await.unwrap(), 15);
        client.close().await;
        runtime.shutdown().await.unwrap();
    }
}

#[workflow]
async fn restarts_as_another() -> Result<u32> {
    workflow::restart_with(counts_down(1, 0)).await
}

#[workflow]
async fn restarts_under_another_id(again: bool) -> Result<u32> {
    if again {
        workflow::restart_with(restarts_under_another_id(false).id("other")).await;
    }
    Ok(0)
}

#[workflow]
async fn restarts_with_too_much(text: String) -> Result<u32> {
    workflow::restart_with(restarts_with_too_much(text.repeat(100))).await
}

#[tokio::test]
async fn what_no_generation_can_be_is_said_and_the_run_stays() {
    let base = &Base::all()[0];
    let runtime = base.builder().max_payload(1_000).build().await.unwrap();
    let other = runtime.start(restarts_as_another().id("a")).await.unwrap();
    let under = runtime.start(restarts_under_another_id(true).id("b")).await.unwrap();
    for (blocked, told) in [
        (other.blocked().await.unwrap(), "got a call of `counts_down`, and this is a run of"),
        (under.blocked().await.unwrap(), "the next generation has the id of the run"),
    ] {
        let report = blocked.expect("set aside in its first turn");
        assert_eq!(report.kind(), BlockedKind::Panicked);
        assert!(report.to_string().contains(told), "{report}");
        assert!(report.to_string().contains("restart.rs:"), "{report}");
    }
    let large = runtime.start(restarts_with_too_much("0123456789".repeat(2))).await.unwrap();
    let failure = large.result().await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Unstorable);
    assert!(failure.to_string().contains("cannot be restarted"), "{failure}");
    runtime.shutdown().await.unwrap();
}

/// Stands for the deploy of another version.
static DEPLOYED: AtomicBool = AtomicBool::new(false);

#[workflow(on_mismatch = restart, allow(WF009, reason = "it stands for a deploy"))]
async fn begins_anew(n: u32) -> Result<u32> {
    if DEPLOYED.load(Ordering::SeqCst) {
        return counted(n + 1).await;
    }
    let n = counted(n).await?;
    never_done().await?;
    Ok(n)
}

#[step]
async fn never_done() -> Result<()> {
    std::future::pending().await
}

#[tokio::test]
async fn a_run_whose_history_new_code_does_not_repeat_begins_anew_where_its_workflow_says_so() {
    for base in Base::all() {
        DEPLOYED.store(false, Ordering::SeqCst);
        let first =
            base.builder().build_id("1").shutdown_grace(Duration::ZERO).build().await.unwrap();
        let run = first.start(begins_anew(7).id("n").meta("tenant", "a")).await.unwrap();
        while run.history().await.unwrap().events().is_empty() {
            tokio::task::yield_now().await;
        }
        first.shutdown().await.unwrap();
        DEPLOYED.store(true, Ordering::SeqCst);
        let second = base.builder().build_id("2").build().await.unwrap();
        let run = second.handle(begins_anew, "n");
        assert_eq!(run.result().await.unwrap(), 8);
        assert_eq!(run.meta().await.unwrap()["tenant"], "a");
        let page = second.client().list(Filter::new()).await.unwrap();
        let statuses: Vec<Status> = page.runs().iter().map(|run| run.status()).collect();
        assert_eq!(statuses, [Status::Completed, Status::Continued]);
        second.shutdown().await.unwrap();
    }
}
