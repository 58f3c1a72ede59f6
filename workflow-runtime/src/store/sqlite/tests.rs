//! What only the SQLite store can get wrong.

use super::*;
use crate::model::{CommandKind, Event, EventKind, Start};

fn start(run: i64) -> Item {
    let mut item = Item::new(RunId(run), WriterId(1));
    let at = Timestamp::from_millis(1);
    let (id, args) = (run.to_string().into(), "[]".into());
    item.start = Some(Box::new(Start {
        workflow: "w".into(),
        id,
        args,
        seed: 0,
        decided: Some("[]".into()),
        meta: None,
        parent: None,
        queued: false,
        at,
    }));
    item
}

fn row(run: i64, name: &'static str) -> Item {
    let mut item = Item::new(RunId(run), WriterId(1));
    item.events.push(Event {
        seq: 1,
        kind: EventKind::Step,
        call: None,
        name: name.into(),
        payload: None,
        decided: None,
        writer: WriterId(1),
        at: Timestamp::from_millis(1),
    });
    item
}

async fn open(folder: &tempfile::TempDir) -> (SqliteStore, Connection) {
    let path = folder.path().join("test.db");
    let options = SqliteOptions { path: path.clone(), full: true, owner: true, read_only: false };
    let store = SqliteStore::open(options).await.unwrap();
    (store, Connection::open(path).unwrap())
}

/// Rows of that name are refused from now on.
fn forbid_dancing(beside: &Connection) {
    let trigger = "create trigger no_dancing before insert on history when new.name = 'dance' \
                   begin select raise(abort, 'no dancing'); end";
    beside.execute_batch(trigger).unwrap();
}

/// As another process does.
async fn terminate(folder: &tempfile::TempDir, run: i64) {
    let path = folder.path().join("test.db");
    let options = SqliteOptions { path, full: true, owner: false, read_only: false };
    let other = SqliteStore::open(options).await.unwrap();
    let (kind, by, at) = (CommandKind::Terminate, "somebody".into(), Timestamp::from_millis(2));
    let command = Command { number: 0, kind, by, reason: None, at };
    other.command(RunId(run), command).await.unwrap();
}

#[tokio::test]
async fn a_constraint_of_the_database_refuses_its_item_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (store, beside) = open(&folder).await;
    forbid_dancing(&beside);
    store.commit(&(1..=20).map(start).collect::<Vec<_>>()).await.unwrap();
    let items: Vec<_> =
        (1..=20).map(|run| row(run, if run % 9 == 4 { "dance" } else { "walk" })).collect();
    let answers = store.commit(&items).await.unwrap();
    for (run, answer) in (1..=20).zip(answers) {
        let expected = match run % 9 {
            4 => Answer::Refused("no dancing".to_owned()),
            _ => Answer::Committed,
        };
        assert_eq!(answer, expected, "{run}");
    }
}

#[tokio::test]
async fn a_locked_file_is_a_fault_of_the_store_and_the_same_batch_goes_in_later() {
    let folder = tempfile::tempdir().unwrap();
    let (store, beside) = open(&folder).await;
    // As another program that holds the file for longer than is waited for.
    let quick = |connection: &mut Connection| connection.execute_batch("pragma busy_timeout = 1");
    store.0.write(quick).unwrap();
    beside.execute_batch("begin immediate").unwrap();
    let error = store.commit(&[start(1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    beside.execute_batch("rollback").unwrap();
    assert_eq!(store.commit(&[start(1)]).await.unwrap(), [Answer::Committed]);
}

#[tokio::test]
async fn every_query_can_be_prepared() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, beside) = open(&folder).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
    let mut seen = 0;
    for part in ["query", "commit"] {
        for entry in std::fs::read_dir(folder.join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().contains(".postgres.") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let prepared = beside.prepare(&text);
            assert!(prepared.is_ok(), "{}: {prepared:?}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 40);
}

#[tokio::test]
async fn the_views_tell_people_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (store, beside) = open(&folder).await;
    store.commit(&[start(1)]).await.unwrap();
    store.commit(&[row(1, "walk")]).await.unwrap();
    let seen = beside.query_row("select id, status, events from workflows", [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    let seen: (String, String, i64) = seen.unwrap();
    assert_eq!(seen, ("1".to_owned(), "running".to_owned(), 1));
    let step =
        beside.query_row("select kind, name from steps", [], |row| Ok((row.get(0)?, row.get(1)?)));
    let step: (String, String) = step.unwrap();
    assert_eq!(step, ("step".to_owned(), "walk".to_owned()));
}

#[tokio::test]
async fn a_full_database_takes_the_same_items_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (store, beside) = open(&folder).await;
    store.commit(&[start(1)]).await.unwrap();
    // No page more, as on a disk that is full.
    let full = |connection: &mut Connection| {
        let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
        connection.query_row(&format!("pragma max_page_count = {pages}"), [], |_| Ok(()))
    };
    store.0.write(full).unwrap();
    let mut large = row(1, "walk");
    large.events[0].payload = Some("x".repeat(1 << 20).into());
    let error = store.commit(std::slice::from_ref(&large)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("full"), "{error}");
    let rows = beside.query_row("select count(*) from history", [], |row| row.get::<_, i64>(0));
    assert_eq!(rows.unwrap(), 0, "half of it went in");
    // The connection is another now, without the limit.
    assert_eq!(store.commit(&[large]).await.unwrap(), [Answer::Committed]);
}

/// What the connection that writes remembers is forgotten when anybody else
/// writes.
#[tokio::test]
async fn a_run_that_another_process_ended_takes_no_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(&folder).await;
    store.commit(&[start(1), start(2)]).await.unwrap();
    terminate(&folder, 1).await;
    let answers = store.commit(&[row(1, "walk"), row(2, "walk")]).await.unwrap();
    assert_eq!(answers, [Answer::Conflict, Answer::Committed]);
}

#[tokio::test]
async fn a_connection_that_is_opened_anew_knows_nothing_of_before() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(&folder).await;
    store.commit(&[start(1)]).await.unwrap();
    // As after a fault: what it counted, the next one does not count on.
    drop(lock(&store.0.writer).connection.take());
    terminate(&folder, 1).await;
    assert_eq!(store.commit(&[row(1, "walk")]).await.unwrap(), [Answer::Conflict]);
}

#[tokio::test]
async fn a_place_that_was_rolled_back_is_not_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let (store, beside) = open(&folder).await;
    forbid_dancing(&beside);
    let mut second = row(1, "walk");
    second.events[0].seq = 2;
    let answers = store.commit(&[start(1), row(1, "dance"), second]).await.unwrap();
    let refused = Answer::Refused("no dancing".to_owned());
    assert_eq!(answers, [Answer::Committed, refused, Answer::MissingPredecessor]);
}
