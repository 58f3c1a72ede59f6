//! Rows that no build wrote: a run is set aside with a report, or goes on where
//! nothing can be told; other runs do not notice. On both databases.

use std::sync::atomic::Ordering;
use std::time::Duration;

use workflow_runtime::BlockedKind::{self, Corrupt, Mismatch, Undecodable};
use workflow_runtime::{Builder, Handle, Result, Runtime, Status, step, workflow};

use crate::restart::Base;
use crate::steps::World;

#[step]
async fn first_word(#[state] world: &World) -> Result<String> {
    world.count();
    Ok("a".to_owned())
}

#[step]
async fn second_word(#[state] world: &World, after: usize) -> Result<String> {
    world.count();
    Ok("b".repeat(after))
}

/// Does not end while the world is broken.
#[step]
async fn last_word(#[state] world: &World) -> Result<String> {
    if world.broken.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    Ok("c".to_owned())
}

/// How long three words are.
#[workflow]
async fn three_words(plus: usize) -> Result<usize> {
    let first = first_word().await?;
    let second = second_word(1).await?;
    Ok(first.len() + second.len() + last_word().await?.len() + plus)
}

/// Texts that are put into a row as a whole.
const LARGE: usize = 20 << 20;
/// Longest report: 64 KiB, and what to do.
const LONGEST: usize = 65 * 1024;

/// What is done to the rows of a run; `$1` is its number, `$2` a large text.
struct Damage {
    name: &'static str,
    sql: &'static [&'static str],
    large: fn() -> String,
    kind: BlockedKind,
    words: &'static str,
}

const fn small(
    name: &'static str,
    sql: &'static [&'static str],
    kind: BlockedKind,
    words: &'static str,
) -> Damage {
    Damage { name, sql, large: String::new, kind, words }
}

macro_rules! insert {
    ($row:literal) => {
        concat!(
            "insert into history select run, ",
            $row,
            ", writer, at from history \
                 where run = $1 and seq = 2"
        )
    };
}

/// Of a history of two events.
const DAMAGES: &[Damage] = &[
    small(
        "a gap",
        &["update history set seq = 7 where run = $1 and seq = 2"],
        Corrupt,
        "event 2 is missing; event 7 follows",
    ),
    small(
        "no beginning",
        &["delete from history where run = $1 and seq = 1"],
        Corrupt,
        "event 1 is missing; event 2 follows",
    ),
    small(
        "an orphan",
        &[insert!("3, 'step', 9, name, payload, decided")],
        Corrupt,
        "answer call 9, which was never made",
    ),
    small(
        "answered twice",
        &[insert!("3, kind, call, name, payload, '[]'")],
        Corrupt,
        "answer call 1 twice",
    ),
    small(
        "stored twice",
        &[insert!("3, kind, call, name, payload, null")],
        Corrupt,
        "answer call 1 twice",
    ),
    small(
        "answered for another",
        &["update history set call = 0 where run = $1 and seq = 2"],
        Corrupt,
        "call 0 is step `second_word`, and it is step `first_word`",
    ),
    small(
        "below zero",
        &["update history set call = -7 where run = $1 and seq = 2"],
        Corrupt,
        "stored rows",
    ),
    small(
        "swapped",
        &[
            "update history set seq = seq - 3 where run = $1",
            "update history set seq = -seq where run = $1",
        ],
        Corrupt,
        "answer call 1, which was never made",
    ),
    small(
        "of no kind",
        &[insert!("3, 'dance', call, name, payload, decided")],
        Corrupt,
        "event 3 is of no known kind: `dance`",
    ),
    small(
        "of another kind",
        &["update history set kind = 'timer' where run = $1 and seq = 2"],
        Corrupt,
        "call 1 is timer `second_word`, and it is step `second_word`",
    ),
    small(
        "begins nothing",
        &[insert!("3, 'begun', null, '', null, '[]'")],
        Corrupt,
        "event 3: it begins nothing",
    ),
    small(
        "a cut result",
        &["update history set payload = substr(payload, 1, 5) where run = $1 and seq = 1"],
        Undecodable,
        "the recorded result of `first_word` cannot be read",
    ),
    small(
        "a cut decision",
        &["update history set decided = substr(decided, 1, 9) where run = $1 and seq = 1"],
        Corrupt,
        "event 1: unreadable decisions",
    ),
    small(
        "a cut start",
        &["update runs set decided = substr(decided, 1, 9) where id = $1"],
        Corrupt,
        "unreadable decisions",
    ),
    small(
        "decided nothing",
        &["update history set decided = '[]' where run = $1 and seq = 1"],
        Mismatch,
        "`second_word`",
    ),
    small(
        "other arguments",
        &["update runs set args = '[]' where id = $1"],
        Undecodable,
        "argument `plus` is missing",
    ),
    Damage {
        name: "a large text",
        sql: &["update history set payload = $2 where run = $1 and seq = 1"],
        large: || "x".repeat(LARGE),
        kind: Undecodable,
        words: "the recorded result of `first_word` cannot be read",
    },
    Damage {
        name: "large decisions",
        sql: &["update history set decided = $2 where run = $1 and seq = 1"],
        large: || "[".repeat(LARGE),
        kind: Corrupt,
        words: "event 1: unreadable decisions",
    },
    Damage {
        name: "of a large kind",
        sql: &["update history set kind = $2 where run = $1 and seq = 1"],
        large: || "x".repeat(LARGE),
        kind: Corrupt,
        words: "event 1 is of no known kind: `xxx",
    },
];

impl Base {
    /// Carries a statement out, for the run of that id.
    async fn damage(&self, id: &str, sql: &'static str, large: &str) {
        const NUMBER: &str = "select id from runs where workflow_id = $1";
        macro_rules! carry_out {
            ($connection:expr) => {{
                let mut connection = $connection;
                let number = sqlx::query_scalar(NUMBER).bind(id).fetch_one(&mut connection);
                let number: i64 = number.await.unwrap();
                let mut statement = sqlx::query(sql).bind(number);
                if sql.contains("$2") {
                    statement = statement.bind(large);
                }
                let changed = statement.execute(&mut connection).await.unwrap();
                assert!(changed.rows_affected() > 0, "{sql}");
            }};
        }
        match &self.schema {
            Some(schema) => carry_out!(schema.sql().await),
            None => carry_out!(self.place.sql().await),
        }
    }

    /// Its steps of before do not end.
    fn brief(&self) -> Builder {
        self.builder().shutdown_grace(Duration::from_millis(50))
    }

    /// A life in which each of these runs got as far as its last step.
    async fn in_flight(&self, ids: impl Iterator<Item = &str>) {
        self.world.broken.store(true, Ordering::SeqCst);
        let runtime = self.brief().build().await.unwrap();
        for id in ids {
            let run = runtime.start(three_words(0).id(id)).await.unwrap();
            while run.history().await.unwrap().events().len() < 2 {
                tokio::task::yield_now().await;
            }
        }
        runtime.shutdown().await.unwrap();
        self.world.broken.store(false, Ordering::SeqCst);
    }
}

async fn result(run: &Handle<usize>) -> usize {
    run.result().within(Duration::from_secs(60)).await.unwrap()
}

async fn is_reported(runtime: &Runtime, damage: &Damage) {
    let (name, run) = (damage.name, runtime.handle(three_words, damage.name));
    let report = loop {
        if let Some(report) = run.blocked().await.unwrap() {
            break report;
        }
        let status = run.status().await.unwrap();
        assert!(!status.is_ended(), "{name}: {status:?}");
        tokio::task::yield_now().await;
    };
    let message = report.message();
    assert_eq!(report.kind(), damage.kind, "{name}: {message}");
    assert!(message.contains(damage.words), "{name}: {message}");
    assert!(!message.contains("panicked") && message.len() < LONGEST, "{name}: {message}");
}

#[tokio::test]
async fn each_damaged_run_is_set_aside_with_its_report_and_no_other() {
    for base in Base::all() {
        let names = DAMAGES.iter().map(|damage| damage.name);
        base.in_flight(["before"].into_iter().chain(names).chain(["after"])).await;
        for Damage { name, sql, large, .. } in DAMAGES {
            for statement in *sql {
                base.damage(name, statement, &large()).await;
            }
        }
        let bodies = base.world.bodies();
        let runtime = base.runtime().await;
        for id in ["before", "after"] {
            assert_eq!(result(&runtime.handle(three_words, id)).await, 3, "{id}");
        }
        for damage in DAMAGES {
            is_reported(&runtime, damage).await;
        }
        assert_eq!(base.world.bodies(), bodies, "a step ran again");
        assert_eq!(result(&runtime.start(three_words(4).id("new")).await.unwrap()).await, 7);
        runtime.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn what_rows_cannot_tell_is_no_reason_to_stop() {
    for base in Base::all() {
        base.in_flight(["no tail", "other writer", "large"].into_iter()).await;
        let large = format!("{{\"ok\":\"{}\"}}", "x".repeat(LARGE));
        base.damage("no tail", "delete from history where run = $1 and seq = 2", "").await;
        base.damage("other writer", "update history set writer = 99 where run = $1", "").await;
        let sql = "update history set payload = $2 where run = $1 and seq = 1";
        base.damage("large", sql, &large).await;
        let bodies = base.world.bodies();
        let runtime = base.runtime().await;
        // The step whose result is not there runs again.
        assert_eq!(result(&runtime.handle(three_words, "no tail")).await, 3);
        assert_eq!(base.world.bodies(), bodies + 1);
        assert_eq!(result(&runtime.handle(three_words, "other writer")).await, 3);
        assert_eq!(result(&runtime.handle(three_words, "large")).await, LARGE + 2);
        runtime.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn an_end_counts_once_whatever_follows_it() {
    const REOPEN: &str = "insert into active (run, due) values ($1, 0)";
    for base in Base::all() {
        let runtime = base.runtime().await;
        for id in ["goes on", "in hand", "lost its end", "lost its end and goes on"] {
            assert_eq!(result(&runtime.start(three_words(0).id(id)).await.unwrap()).await, 3);
        }
        runtime.shutdown().await.unwrap();
        let again = insert!("4, kind, call, name, payload, decided");
        let no_end = "update runs set status = 0, output = null, ended = null where id = $1";
        base.damage("goes on", again, "").await;
        base.damage("in hand", REOPEN, "").await;
        for id in ["lost its end", "lost its end and goes on"] {
            base.damage(id, no_end, "").await;
            base.damage(id, REOPEN, "").await;
        }
        base.damage("lost its end and goes on", again, "").await;
        let runtime = base.runtime().await;
        for name in ["lost its end", "lost its end and goes on"] {
            let damage = small(name, &[], Mismatch, "the workflow returns here");
            is_reported(&runtime, &damage).await;
        }
        for id in ["goes on", "in hand"] {
            let run = runtime.handle(three_words, id);
            assert_eq!(result(&run).await, 3);
            assert_eq!(run.status().await.unwrap(), Status::Completed);
        }
        assert_eq!(result(&runtime.start(three_words(4).id("new")).await.unwrap()).await, 7);
        runtime.shutdown().await.unwrap();
    }
}
