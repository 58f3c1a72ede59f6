//! A run that ends and goes on as its next generation.

use std::sync::Arc;

use super::{ME, OTHER, at, commit, commit_one, ending, rows, start};
use crate::model::{
    Answer, Command, CommandKind, Ended, Item, RunId, RunQuery, RunRecord, Start, Status,
};
use crate::store::{Counter, SOUND, Store};

/// Numbers from here on are the store's to give.
const RESERVED: u32 = 100;

pub(super) async fn reserved(store: &dyn Store) {
    store.reserve(Counter::Runs, RESERVED).await.unwrap();
}

/// The same item, as one that goes on with those arguments.
pub(super) fn restarting(item: Item, id: &str, args: &str) -> Item {
    let mut item = ending(item, "{}");
    if let Some(end) = &mut item.end {
        end.how = Ended::Continued;
    }
    item.successor = Some(Box::new(Start {
        workflow: "checkout@2".into(),
        id: id.into(),
        args: args.into(),
        seed: 7,
        decided: None,
        meta: Some(r#"{"tenant":"b"}"#.into()),
        parent: None,
        queued: true,
        at: at(9_000),
    }));
    item
}

pub(super) async fn newest(store: &dyn Store, id: &str) -> RunRecord {
    store.find(id).await.unwrap().unwrap()
}

async fn all(store: &dyn Store) -> Vec<(i64, Status)> {
    let list = store.list(RunQuery { limit: 1_000, ..RunQuery::default() }).await.unwrap();
    list.iter().map(|run| (run.run, run.status())).collect()
}

#[expect(clippy::cognitive_complexity, reason = "one story, read from top to bottom")]
async fn the_end_of_a_generation_begins_the_next_in_the_same_commit(store: Arc<dyn Store>) {
    reserved(&*store).await;
    commit(&*store, &[start(1, "one"), start(2, "two")]).await;
    let item = restarting(rows(1, 1..=2), "one", "[2]");
    // Also when the answer was lost and it is sent again.
    for _ in 0..2 {
        let answers = commit(&*store, &[item.clone(), rows(2, 1..=1)]).await;
        assert_eq!(answers, [Answer::Committed, Answer::Committed]);
    }
    assert_eq!(all(&*store).await.len(), 3);
    let ended = store.load(&[RunId(1)]).await.unwrap().remove(0).1.unwrap();
    assert_eq!(ended.record.status(), Status::Continued);
    assert_eq!(ended.history.len(), 2);
    let next = newest(&*store, "one").await;
    assert!(next.run > RunId(i64::from(RESERVED)), "{}", next.run);
    assert_eq!((&*next.workflow, &*next.id, &*next.args), ("checkout@2", "one", "[2]"));
    assert_eq!((next.seed, next.created, next.status()), (7, at(9_000), Status::Queued));
    assert_eq!((next.meta.as_deref(), next.decided), (Some(r#"{"tenant":"b"}"#), None));
    assert!(store.history(next.run).await.unwrap().is_empty());
    let first = store.find_first("one").await.unwrap().unwrap();
    assert_eq!((first.run, &*first.args), (RunId(1), "[1]"));
    // Whoever works claims it.
    assert_eq!(store.claim(OTHER, at(9_000), 9, SOUND).await.unwrap(), [next.run]);
    let mut third = restarting(rows(next.run.0, 1..=1), "one", "[3]");
    third.writer = OTHER;
    third.events.iter_mut().for_each(|event| event.writer = OTHER);
    assert_eq!(commit_one(&*store, third).await, Answer::Committed);
    assert_eq!(&*newest(&*store, "one").await.args, "[3]");
    assert_eq!(store.find_first("one").await.unwrap().unwrap().run, RunId(1));
}

async fn a_restarted_run_is_found_by_whoever_starts_it_again(store: Arc<dyn Store>) {
    reserved(&*store).await;
    commit_one(&*store, start(1, "one")).await;
    commit_one(&*store, restarting(rows(1, 1..=1), "one", "[2]")).await;
    // Its own start, sent again after a lost answer; and another one.
    assert_eq!(commit_one(&*store, start(1, "one")).await, Answer::Committed);
    assert_eq!(commit_one(&*store, start(9, "one")).await, Answer::Taken(RunId(1)));
    assert_eq!(all(&*store).await.len(), 2);
}

async fn a_run_that_restarts_in_its_first_turn_is_there_with_its_next_generation(
    store: Arc<dyn Store>,
) {
    reserved(&*store).await;
    for _ in 0..2 {
        let item = restarting(start(1, "one"), "one", "[2]");
        assert_eq!(commit_one(&*store, item).await, Answer::Committed);
    }
    assert_eq!(newest(&*store, "one").await.status(), Status::Queued);
    let statuses: Vec<Status> = all(&*store).await.into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, [Status::Queued, Status::Continued]);
}

async fn a_run_that_was_cancelled_before_it_could_restart_has_no_next_generation(
    store: Arc<dyn Store>,
) {
    reserved(&*store).await;
    commit_one(&*store, start(1, "one")).await;
    let (by, at) = ("ada".into(), at(2_000));
    let cancel = Command { number: 0, kind: CommandKind::Cancel, by, reason: None, at };
    store.command(RunId(1), cancel).await.unwrap();
    let item = restarting(rows(1, 1..=1), "one", "[2]");
    for _ in 0..2 {
        assert_eq!(commit_one(&*store, item.clone()).await, Answer::NotEnded);
    }
    assert_eq!(all(&*store).await, [(1, Status::Running)]);
}

#[expect(clippy::cognitive_complexity, reason = "one story, read from top to bottom")]
async fn the_first_generation_holds_the_id_until_the_last_one_goes(store: Arc<dyn Store>) {
    reserved(&*store).await;
    commit_one(&*store, start(1, "one")).await;
    commit_one(&*store, restarting(rows(1, 1..=1), "one", "[2]")).await;
    let second = newest(&*store, "one").await.run;
    store.claim(ME, at(9_000), 9, SOUND).await.unwrap();
    commit_one(&*store, restarting(rows(second.0, 1..=1), "one", "[3]")).await;
    let third = newest(&*store, "one").await.run;
    let old = |after| store.old(RunId(after), at(9_001));
    assert_eq!(old(0).await.unwrap().runs, [second]);
    assert_eq!(store.delete(&[second]).await.unwrap(), 1);
    assert_eq!(commit_one(&*store, start(9, "one")).await, Answer::Taken(RunId(1)));
    store.claim(ME, at(9_000), 9, SOUND).await.unwrap();
    commit_one(&*store, ending(rows(third.0, 1..=1), "3")).await;
    assert_eq!(old(1).await.unwrap().runs, [third]);
    assert_eq!(store.delete(&[third]).await.unwrap(), 2);
    assert!(store.find("one").await.unwrap().is_none());
    assert!(store.history(RunId(1)).await.unwrap().is_empty());
    assert_eq!(commit_one(&*store, start(9, "one")).await, Answer::Committed);
}

super::conformance! {
    the_end_of_a_generation_begins_the_next_in_the_same_commit
    a_restarted_run_is_found_by_whoever_starts_it_again
    a_run_that_restarts_in_its_first_turn_is_there_with_its_next_generation
    a_run_that_was_cancelled_before_it_could_restart_has_no_next_generation
    the_first_generation_holds_the_id_until_the_last_one_goes
}
