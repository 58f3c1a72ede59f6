//! Commands, suspects, lists and deletion.

use std::sync::Arc;

use super::{ME, OTHER, at, commit, commit_one, ending, event, failed, over, rows, start};
use crate::model::{
    Answer, Block, Command, CommandKind, Commanded, Event, EventKind, Item, RunId, RunQuery, Status,
};
use crate::store::{SOUND, Store};

fn command(kind: CommandKind) -> Command {
    Command { number: 1, kind, by: "ada".into(), reason: Some("why".into()), at: at(6_000) }
}

async fn give(store: &dyn Store, run: i64, kind: CommandKind) -> Commanded {
    store.command(RunId(run), command(kind)).await.unwrap()
}

async fn status(store: &dyn Store, id: &str) -> Status {
    store.find(id).await.unwrap().unwrap().status()
}

/// The run knows of that command and all before it.
fn cancelled(run: i64, seq: u32, by: i64) -> Item {
    let mut item = Item::new(RunId(run), ME);
    item.obeys = by;
    item.events = vec![Event { kind: EventKind::Cancelled, call: None, ..event(seq, ME) }];
    item
}

async fn a_cancelled_run_does_not_end_before_it_knows(store: Arc<dyn Store>) {
    commit(&*store, &[start(1, "one"), start(2, "two")]).await;
    commit_one(&*store, rows(2, 1..=1)).await;
    assert_eq!(give(&*store, 1, CommandKind::Cancel).await, Commanded::Accepted);
    let end = ending(rows(1, 1..=2), "done");
    for _ in 0..2 {
        assert_eq!(commit_one(&*store, end.clone()).await, Answer::NotEnded);
    }
    let stored = store.load(&[RunId(1)]).await.unwrap().remove(0).1.unwrap();
    assert_eq!(stored.cancels, [command(CommandKind::Cancel)]);
    assert!(stored.record.end.is_none());
    // The first is delivered, the last is kept for later.
    let delivered: Vec<_> = stored.history.iter().map(|event| event.decided.is_some()).collect();
    assert_eq!(delivered, [true, false]);
    assert!(store.history(RunId(2)).await.unwrap()[0].decided.is_some(), "another run's");
    assert_eq!(store.open_commands(ME).await.unwrap().len(), 1);
    let mut knows = cancelled(1, 3, 1);
    knows = ending(knows, "cancelled");
    assert_eq!(commit_one(&*store, knows.clone()).await, Answer::Committed);
    assert_eq!(commit_one(&*store, knows).await, Answer::Committed);
    assert!(store.open_commands(ME).await.unwrap().is_empty());
}

async fn an_end_that_was_prevented_stays_so_when_the_run_ends_otherwise(store: Arc<dyn Store>) {
    commit(&*store, &[start(1, "one"), start(2, "two")]).await;
    for (run, rows) in [(1, rows(1, 1..=1)), (2, rows(2, 1..=2))] {
        give(&*store, run, CommandKind::Cancel).await;
        let end = ending(rows, "done");
        assert_eq!(commit_one(&*store, end.clone()).await, Answer::NotEnded);
        // The answer was lost, and somebody else has ended the run since.
        let seq = end.events.last().unwrap().seq + 1;
        let other = ending(cancelled(run, seq, 9), "otherwise");
        assert_eq!(commit_one(&*store, other.clone()).await, Answer::Committed);
        assert_eq!(commit_one(&*store, end).await, Answer::NotEnded);
        assert_eq!(commit_one(&*store, other).await, Answer::Committed);
    }
}

async fn of_two_cancellations_none_is_lost(store: Arc<dyn Store>) {
    commit(&*store, &[start(1, "one")]).await;
    for _ in 0..2 {
        assert_eq!(give(&*store, 1, CommandKind::Cancel).await, Commanded::Accepted);
    }
    let stored = store.load(&[RunId(1)]).await.unwrap().remove(0).1.unwrap();
    let numbers: Vec<_> = stored.cancels.iter().map(|command| command.number).collect();
    assert_eq!(numbers, [1, 2]);
    // It knows of the first: the second is yet to come, and it cannot end.
    let knows_one = ending(cancelled(1, 1, 1), "cancelled");
    assert_eq!(commit_one(&*store, knows_one).await, Answer::NotEnded);
    let open = store.open_commands(ME).await.unwrap();
    assert_eq!(open.iter().map(|(_, command)| command.number).collect::<Vec<_>>(), [2]);
    let knows_both = ending(cancelled(1, 2, 2), "cancelled");
    assert_eq!(commit_one(&*store, knows_both).await, Answer::Committed);
    assert!(store.open_commands(ME).await.unwrap().is_empty());
}

async fn a_command_says_what_became_of_it(store: Arc<dyn Store>) {
    commit(&*store, &[start(1, "one"), ending(start(2, "two"), "at once")]).await;
    let cases = [
        (1, CommandKind::Cancel, Commanded::Accepted),
        (1, CommandKind::Retry, Commanded::Idle),
        (1, CommandKind::Redrive, Commanded::Idle),
        (2, CommandKind::Cancel, Commanded::Ended),
        (2, CommandKind::Terminate, Commanded::Ended),
        (2, CommandKind::Retry, Commanded::Ended),
        (9, CommandKind::Cancel, Commanded::Unknown),
    ];
    for (run, kind, expected) in cases {
        assert_eq!(give(&*store, run, kind).await, expected, "{kind:?} of {run}");
    }
}

async fn a_cancelled_run_that_waits_is_due_at_once(store: Arc<dyn Store>) {
    commit(&*store, &[start(1, "one"), start(2, "two")]).await;
    let park = |run| {
        let mut item = Item::new(RunId(run), ME);
        item.park = Some(at(90_000));
        item
    };
    commit_one(&*store, park(1)).await;
    give(&*store, 1, CommandKind::Cancel).await;
    assert_eq!(store.claim(ME, at(6_000), 10, SOUND).await.unwrap(), [RunId(1)]);
    // Asked while it was in hand, it does not go to sleep.
    give(&*store, 2, CommandKind::Cancel).await;
    commit_one(&*store, park(2)).await;
    assert_eq!(store.claim(ME, at(6_000), 10, SOUND).await.unwrap(), [RunId(2)]);
}

async fn a_terminated_run_has_ended_and_its_owner_is_told_once(store: Arc<dyn Store>) {
    commit(&*store, &[start(1, "held"), start(2, "waits")]).await;
    let mut park = Item::new(RunId(2), ME);
    park.park = Some(at(90_000));
    commit_one(&*store, park).await;
    for run in [1, 2] {
        assert_eq!(give(&*store, run, CommandKind::Terminate).await, Commanded::Accepted);
    }
    for id in ["held", "waits"] {
        assert_eq!(status(&*store, id).await, Status::Cancelled);
    }
    let told = store.open_commands(ME).await.unwrap();
    assert_eq!(told, [(RunId(1), command(CommandKind::Terminate))]);
    assert_eq!(commit_one(&*store, rows(1, 1..=1)).await, Answer::Conflict);
    store.terminated(RunId(1)).await.unwrap();
    assert!(store.open_commands(ME).await.unwrap().is_empty());
    let ends = store.ends(&[RunId(1), RunId(2), RunId(3)]).await.unwrap();
    assert_eq!(ends.len(), 2);
    assert!(ends[0].1.output.contains("terminated by ada: why"), "{ends:?}");
}

async fn a_blocked_run_is_free_again_when_it_is_retried(store: Arc<dyn Store>) {
    commit_one(&*store, start(1, "one")).await;
    assert_eq!(give(&*store, 1, CommandKind::Retry).await, Commanded::Idle);
    let mut item = Item::new(RunId(1), ME);
    item.block = Some(Box::new(Block { build: "v1".into(), report: "{}".into(), at: at(2_000) }));
    commit_one(&*store, item).await;
    // A cancellation waits until its code can go on.
    give(&*store, 1, CommandKind::Cancel).await;
    assert!(store.claim(ME, at(9_000), 10, SOUND).await.unwrap().is_empty());
    assert_eq!(give(&*store, 1, CommandKind::Retry).await, Commanded::Accepted);
    assert_eq!(status(&*store, "one").await, Status::Waiting);
    assert_eq!(store.claim(ME, at(6_000), 10, SOUND).await.unwrap(), [RunId(1)]);
}

async fn a_queued_start_is_claimed_by_whoever_works(store: Arc<dyn Store>) {
    let mut queued = start(1, "one");
    queued.start.as_mut().unwrap().queued = true;
    for _ in 0..2 {
        assert_eq!(commit_one(&*store, queued.clone()).await, Answer::Committed);
    }
    assert_eq!(status(&*store, "one").await, Status::Queued);
    assert_eq!(store.claim(OTHER, at(1_000), 10, SOUND).await.unwrap(), [RunId(1)]);
    // Sent again after it was claimed it changes nothing.
    assert_eq!(commit_one(&*store, queued).await, Answer::Committed);
    assert_eq!(status(&*store, "one").await, Status::Running);
}

/// Claimed and lost with its process, that often.
async fn crash(store: &dyn Store, times: u32) {
    for _ in 0..times {
        store.take_over(over(OTHER, "v1", 5_000)).await.unwrap();
        let now = at(9_000_000);
        let mut claimed = store.claim(ME, now, 10, SOUND).await.unwrap();
        claimed.extend(store.claim(ME, now, 1, 2..=u32::MAX).await.unwrap());
        assert!(!claimed.is_empty());
    }
}

async fn what_never_gets_further_is_suspected_and_then_dead(store: Arc<dyn Store>) {
    commit(&*store, &[start(1, "poison")]).await;
    crash(&*store, 2).await;
    assert_eq!(store.suspected(&[RunId(1), RunId(9)]).await.unwrap(), [RunId(1)]);
    assert!(store.claim(ME, at(9_000_000), 10, SOUND).await.unwrap().is_empty());
    store.take_over(over(OTHER, "v1", 5_000)).await.unwrap();
    // Suspected: apart from the others, and after a pause.
    assert!(store.claim(ME, at(9_000), 10, SOUND).await.unwrap().is_empty());
    assert!(store.claim(ME, at(5_099), 1, 2..=u32::MAX).await.unwrap().is_empty());
    assert_eq!(store.claim(ME, at(5_100), 1, 2..=u32::MAX).await.unwrap(), [RunId(1)]);
    crash(&*store, 2).await;
    assert_eq!(status(&*store, "poison").await, Status::Running);
    store.take_over(over(OTHER, "v1", 7_000)).await.unwrap();
    assert_eq!(status(&*store, "poison").await, Status::Dead);
}

async fn a_dead_run_is_a_letter_until_it_is_redriven(store: Arc<dyn Store>) {
    commit(&*store, &[start(1, "poison")]).await;
    let mut begun = Item::new(RunId(1), ME);
    begun.attempts = vec![failed(3, 1)];
    commit_one(&*store, begun).await;
    crash(&*store, 5).await;
    store.take_over(over(OTHER, "v1", 7_000)).await.unwrap();
    let letters = store.dead_letters(None, 10).await.unwrap();
    assert_eq!((letters.len(), letters[0].id(), letters[0].kind()), (1, "poison", "run"));
    assert!(letters[0].reason().contains("5 times in a row"), "{}", letters[0].reason());
    assert!(store.dead_letters(Some(letters[0].number), 10).await.unwrap().is_empty());
    // Redriven it is new.
    assert_eq!(give(&*store, 1, CommandKind::Redrive).await, Commanded::Accepted);
    assert_eq!(give(&*store, 1, CommandKind::Redrive).await, Commanded::Idle);
    assert!(store.dead_letters(None, 10).await.unwrap().is_empty());
    assert_eq!(store.claim(ME, at(6_000), 10, SOUND).await.unwrap(), [RunId(1)]);
    // What its attempts did is not forgotten.
    let stored = store.load(&[RunId(1)]).await.unwrap().remove(0).1.unwrap();
    assert_eq!(stored.attempts, [failed(3, 1)]);
    assert_eq!(commit_one(&*store, ending(rows(1, 1..=1), "done")).await, Answer::Committed);
}

async fn what_gets_further_is_suspected_no_more(store: Arc<dyn Store>) {
    commit(&*store, &[start(1, "goes on"), start(2, "does no harm"), start(3, "parks")]).await;
    crash(&*store, 2).await;
    let mut further = rows(1, 1..=1);
    further.progress = true;
    let mut park = Item::new(RunId(3), ME);
    park.park = Some(at(9_000));
    commit(&*store, &[further, park]).await;
    let all = [RunId(1), RunId(2), RunId(3)];
    assert_eq!(store.suspected(&all).await.unwrap(), [RunId(2)]);
    store.vindicate(&[RunId(2)]).await.unwrap();
    assert!(store.suspected(&all).await.unwrap().is_empty());
    // An orderly end is no fault of what runs.
    assert_eq!(store.claim(ME, at(9_000), 10, SOUND).await.unwrap(), [RunId(3)]);
    store.release(ME, at(9_000)).await.unwrap();
    assert!(store.suspected(&all).await.unwrap().is_empty());
}

/// Six orders: two completed, one terminated, one a refund of another tenant.
async fn six(store: &dyn Store) {
    for run in 1..=6 {
        let mut item = start(run, &format!("order-{run}"));
        if let Some(new) = &mut item.start {
            new.at = at(run * 1_000);
            if run == 4 {
                new.workflow = "refund".into();
                new.meta = Some(r#"{"tenant":"b","x":"1"}"#.into());
                new.id = "other-4".into();
            }
        }
        commit_one(store, item).await;
    }
    commit(store, &[ending(rows(1, 1..=1), "1"), ending(rows(2, 1..=1), "2")]).await;
    give(store, 3, CommandKind::Terminate).await;
}

/// Pages of three.
async fn list(store: &dyn Store, query: RunQuery) -> Vec<i64> {
    let found = store.list(RunQuery { limit: 3, ..query }).await.unwrap();
    found.iter().map(|run| run.run).collect()
}

async fn a_list_has_what_the_query_asks_for(store: Arc<dyn Store>) {
    six(&*store).await;
    let all = RunQuery::default();
    let workflows = vec!["refund".to_owned(), "return".to_owned()];
    let prefix = |text: &str| RunQuery { id_prefix: Some(text.to_owned()), ..RunQuery::default() };
    let meta = |pairs: &[(&str, &str)]| {
        let meta = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        RunQuery { meta: meta.collect(), ..RunQuery::default() }
    };
    let cases = [
        (all.clone(), vec![6, 5, 4]),
        (RunQuery { after: Some(4), ..all.clone() }, vec![3, 2, 1]),
        (RunQuery { workflows, ..all.clone() }, vec![4]),
        (prefix("other"), vec![4]),
        (prefix("order-2"), vec![2]),
        (prefix("order%"), vec![]),
        (RunQuery { from: Some(at(2_000)), before: Some(at(4_000)), ..all }, vec![3, 2]),
        (meta(&[("tenant", "b")]), vec![4]),
        (meta(&[("tenant", "b"), ("x", "2")]), vec![]),
        (meta(&[("tenant", "a")]), vec![6, 5, 3]),
    ];
    for (query, expected) in cases {
        assert_eq!(list(&*store, query.clone()).await, expected, "{query:?}");
    }
}

async fn a_list_has_runs_of_the_statuses_asked_for(store: Arc<dyn Store>) {
    six(&*store).await;
    let cases = [
        (vec![Status::Completed], vec![2, 1]),
        (vec![Status::Cancelled, Status::Failed], vec![3]),
        (vec![Status::Running], vec![6, 5, 4]),
        (vec![Status::Running, Status::Cancelled], vec![6, 5, 4]),
        (vec![Status::Blocked], vec![]),
    ];
    for (statuses, expected) in cases {
        let query = RunQuery { statuses, ..RunQuery::default() };
        assert_eq!(list(&*store, query.clone()).await, expected, "{query:?}");
    }
}

async fn completed_runs_are_deleted_when_they_are_old(store: Arc<dyn Store>) {
    commit(&*store, &[start(1, "done"), start(2, "open"), start(3, "stopped")]).await;
    commit_one(&*store, ending(rows(1, 1..=2), "1")).await;
    give(&*store, 3, CommandKind::Terminate).await;
    // It ended at 9,000.
    assert!(store.old(RunId(0), at(9_000)).await.unwrap().runs.is_empty());
    assert_eq!(store.old(RunId(0), at(9_001)).await.unwrap().runs, [RunId(1)]);
    assert_eq!(store.delete(&[RunId(1), RunId(2), RunId(8)]).await.unwrap(), 1);
    assert!(store.find("done").await.unwrap().is_none());
    assert!(store.history(RunId(1)).await.unwrap().is_empty());
    assert!(store.find("open").await.unwrap().is_some());
    // Its id is free.
    assert_eq!(commit_one(&*store, start(4, "done")).await, Answer::Committed);
}

async fn a_large_payload_is_read_back_whole(store: Arc<dyn Store>) {
    commit_one(&*store, start(1, "one")).await;
    let mut item = rows(1, 1..=3);
    let large: Arc<str> = format!("{{\"ok\":\"{}\"}}", "x".repeat(1 << 20)).into();
    item.events[1].payload = Some(Arc::clone(&large));
    for _ in 0..2 {
        assert_eq!(commit_one(&*store, item.clone()).await, Answer::Committed);
    }
    let stored = store.load(&[RunId(1)]).await.unwrap().remove(0).1.unwrap();
    assert_eq!(stored.history[1].payload.as_ref(), Some(&large));
    assert_eq!(store.history(RunId(1)).await.unwrap()[1].payload.as_ref(), Some(&large));
}

super::conformance! {
    a_command_says_what_became_of_it
    a_cancelled_run_does_not_end_before_it_knows
    an_end_that_was_prevented_stays_so_when_the_run_ends_otherwise
    of_two_cancellations_none_is_lost
    a_cancelled_run_that_waits_is_due_at_once
    a_terminated_run_has_ended_and_its_owner_is_told_once
    a_blocked_run_is_free_again_when_it_is_retried
    a_queued_start_is_claimed_by_whoever_works
    what_never_gets_further_is_suspected_and_then_dead
    a_dead_run_is_a_letter_until_it_is_redriven
    what_gets_further_is_suspected_no_more
    a_list_has_what_the_query_asks_for
    a_list_has_runs_of_the_statuses_asked_for
    completed_runs_are_deleted_when_they_are_old
    a_large_payload_is_read_back_whole
}
