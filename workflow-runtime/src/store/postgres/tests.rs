//! What Postgres alone does.

use std::path::Path;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, Executor as _, SqlSafeStr as _};

use super::*;
use crate::model::{AttemptRecord, Block, CallId, Ended, EventKind, Start};
use crate::store::{Member, Seen};

async fn open() -> Option<PostgresStore> {
    Some(PostgresStore::open(PostgresOptions::of_a_test()?).await.unwrap())
}

pub(super) const ME: WriterId = WriterId(1);

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(super) fn start(run: i64) -> Item {
    let mut item = Item::new(RunId(run), ME);
    item.start = Some(Box::new(Start {
        workflow: "walk".into(),
        id: run.to_string().into(),
        args: "[]".into(),
        seed: 0,
        decided: Some("[]".into()),
        meta: None,
        parent: None,
        queued: false,
        at: at(1_000),
    }));
    item
}

pub(super) fn row(run: i64, seq: u32) -> Item {
    let mut item = Item::new(RunId(run), ME);
    item.events.push(Event {
        seq,
        kind: EventKind::Step,
        call: Some(CallId(seq)),
        name: "walk".into(),
        payload: Some("{\"ok\":1}".into()),
        decided: Some("[]".into()),
        writer: ME,
        at: at(2_000),
    });
    item
}

#[tokio::test]
async fn every_query_can_be_prepared() {
    let Some(store) = open().await else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder.join("query")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let own = name.replace(".sql", ".postgres.sql");
        // Where Postgres has a text of its own, the other is SQLite's.
        let is_own = name.ends_with(".postgres.sql");
        if is_own || !path.with_file_name(&own).exists() {
            texts.push((name, std::fs::read_to_string(&path).unwrap().replace('?', "$")));
        }
    }
    assert!(texts.len() > 30);
    texts.extend(batch::texts().map(|text| ("batch".to_owned(), text.to_owned())));
    let only_sqlite = ["delete_blobs.sql", "claims.sql", "hasten.sql", "known.sql"];
    store
        .0
        .io
        .run(
            Shape::Single,
            ask!(connection => {
                for (name, text) in texts {
                    if !only_sqlite.contains(&&*name) {
                        let prepared = connection.prepare(AssertSqlSafe(text).into_sql_str()).await;
                        assert!(prepared.is_ok(), "{name}: {prepared:?}");
                    }
                }
                Ok(())
            }),
        )
        .await
        .unwrap();
    store.close().await;
}

/// One of everything that can be in a batch.
#[tokio::test]
async fn a_batch_of_everything_goes_in_whole() {
    let Some(store) = open().await else { return };
    let starts: Vec<Item> = (1..=6).map(start).collect();
    store.commit(&starts).await.unwrap();
    let mut tried = row(1, 1);
    tried.attempts.push(AttemptRecord { failed: 2, ..AttemptRecord::new(CallId(7)) });
    let mut parks = Item::new(RunId(2), ME);
    parks.park = Some(at(9_000));
    let mut aside = row(3, 1);
    aside.block = Some(Box::new(Block { build: "b".into(), report: "{}".into(), at: at(3_000) }));
    let mut ends = row(4, 1);
    ends.end = Some(End { how: Ended::Completed, output: "{}".into(), at: at(3_000) });
    let mut new = start(7);
    new.block.clone_from(&aside.block);
    // Its place is not there.
    let batch = [tried, parks, aside, ends, new, row(5, 2), row(6, 1)];
    let answers = store.commit(&batch).await.unwrap();
    let mut expected = vec![Answer::Committed; 7];
    expected[5] = Answer::MissingPredecessor;
    assert_eq!(answers, expected);
    assert_eq!(store.commit(&batch).await.unwrap(), expected, "sent again");
    let owned = store.owned(ME).await.unwrap();
    assert_eq!(owned, [RunId(1), RunId(5), RunId(6)]);
    store.close().await;
}

#[tokio::test]
async fn a_writer_that_was_declared_dead_writes_and_claims_nothing() {
    let Some(store) = open().await else { return };
    let fleet = store.fleet().unwrap();
    let member = |writer, workflows: &[&str]| Member {
        writer,
        build: "b".to_owned(),
        workflows: workflows.iter().map(ToString::to_string).collect(),
        host: "here".to_owned(),
        process: 1,
        at: at(0),
    };
    fleet.join(member(ME, &["walk"])).await.unwrap();
    assert!(fleet.beat(ME).await.unwrap().is_some());
    store.commit(&[start(1)]).await.unwrap();
    let other = WriterId(2);
    fleet.join(member(other, &["run"])).await.unwrap();
    let seen = fleet.others(other).await.unwrap();
    assert_eq!(seen, [Seen { worker: ME, beat: 1, live: true }]);
    // It moved since.
    fleet.beat(ME).await.unwrap();
    fleet.declare_dead(seen[0]).await.unwrap();
    assert_eq!(store.commit(&[row(1, 1)]).await.unwrap(), [Answer::Committed]);
    let seen = fleet.others(other).await.unwrap();
    fleet.declare_dead(seen[0]).await.unwrap();
    assert!(fleet.beat(ME).await.unwrap().is_none());
    let error = store.commit(&[row(1, 2)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced);
    // Dead with runs in hand: whoever sees it takes over.
    let seen = fleet.others(other).await.unwrap();
    assert!(!seen[0].live);
    let over = TakeOver {
        writer: other,
        of: crate::store::Of::Worker(ME),
        build: "b".to_owned(),
        now: at(5_000),
        max_claims: 5,
        pause: Duration::ZERO,
    };
    store.take_over(over).await.unwrap();
    assert!(fleet.others(other).await.unwrap().is_empty());
    let claim = async |writer| store.claim(writer, at(6_000), 10, 0..=1).await.unwrap();
    assert!(claim(other).await.is_empty(), "it does not know the workflow");
    fleet.join(member(WriterId(3), &["walk"])).await.unwrap();
    assert!(claim(ME).await.is_empty(), "it is dead");
    assert_eq!(claim(WriterId(3)).await, [RunId(1)]);
    store.close().await;
}

/// Half of a fleet claims while the other half does.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_claims_no_other_does() {
    let Some(store) = open().await else { return };
    let starts: Vec<Item> = (1..=500)
        .map(|run| {
            let mut item = start(run);
            if let Some(start) = &mut item.start {
                start.queued = true;
            }
            item
        })
        .collect();
    store.commit(&starts).await.unwrap();
    let store = Arc::new(store);
    let claimers = (10..14).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut claimed = Vec::new();
            loop {
                let some = store.claim(WriterId(writer), at(9_000), 7, 0..=1).await.unwrap();
                if some.is_empty() {
                    return claimed;
                }
                claimed.extend(some);
            }
        })
    });
    let mut all = Vec::new();
    for claimer in claimers.collect::<Vec<_>>() {
        all.extend(claimer.await.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, (1..=500).map(RunId).collect::<Vec<_>>());
    store.close().await;
}

#[test]
fn a_schema_has_a_plain_name() {
    for good in ["workflow", "_a1", "a"] {
        open::check_schema(good).unwrap();
    }
    for bad in ["", "A", "1a", "a-b", "pg_x", "a;drop", &"a".repeat(49)] {
        let error = open::check_schema(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{bad}");
    }
}

#[tokio::test]
async fn of_a_worker_that_ended_long_ago_nothing_stays_and_it_writes_nothing() {
    let Some(store) = open().await else { return };
    let fleet = store.fleet().unwrap();
    let member = |writer, at| Member {
        writer: WriterId(writer),
        build: String::new(),
        workflows: Vec::new(),
        host: String::new(),
        process: 1,
        at: Timestamp::from_millis(at),
    };
    let day = 86_400_000;
    for (writer, at) in [(1, 0), (2, 0), (3, 0), (4, day)] {
        fleet.join(member(writer, at)).await.unwrap();
    }
    // The first holds a run, the third lives, the fourth ended today.
    store.commit(&[start(1)]).await.unwrap();
    for writer in [1, 2, 4] {
        fleet.leave(WriterId(writer)).await.unwrap();
    }
    fleet.join(member(5, day + 1)).await.unwrap();
    for table in ["workers", "lanes where lane = 0"] {
        let text = format!("select writer from {table} order by writer");
        let ask = store.0.io.run(
            Shape::Single,
            ask!(c => {
                sqlx::query_scalar::<_, i64>(AssertSqlSafe(text)).fetch_all(&mut **c).await
            }),
        );
        assert_eq!(ask.await.unwrap(), [1, 3, 4, 5], "{table}");
    }
    let mut late = start(2);
    late.writer = WriterId(2);
    let error = store.commit(&[late]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced);
    store.close().await;
}
