//! What becomes of a store whose database is in trouble.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use sqlx::AssertSqlSafe;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use workflow_test_postgres::{Settings, cluster};

use super::tests::{ME, at, row, start};
use super::*;
use crate::model::{CommandKind, Ended};
use crate::store::{Member, Of, SOUND};

/// A store whose connections can be told from all others.
async fn named() -> Option<(PostgresStore, PostgresOptions)> {
    let mut options = PostgresOptions::of_a_test()?;
    options.url = format!("{}?application_name={}", options.url, options.schema);
    Some((PostgresStore::open(options.clone()).await.unwrap(), options))
}

/// Something happens to the database, and all connections of the store are
/// lost.
async fn befalls(options: &PostgresOptions, what: &str) {
    let connect = options.url.parse::<sqlx::postgres::PgConnectOptions>().unwrap();
    let connect = connect.application_name("test").options([("search_path", &options.schema)]);
    let mut sql = sqlx::ConnectOptions::connect(&connect).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(what.to_owned())).execute(&mut sql).await.unwrap();
    let kill = "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity \
                where application_name = $1";
    let killed = sqlx::query_scalar::<_, i64>(kill).bind(&options.schema);
    assert!(killed.fetch_one(&mut sql).await.unwrap() > 0);
}

/// Sent until the store answers, as the committer does.
async fn commit(store: &PostgresStore, item: Item) -> Result<Answer, Error> {
    loop {
        match store.commit(std::slice::from_ref(&item)).await {
            Ok(mut answers) => return Ok(answers.remove(0)),
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                crate::clock::pause(Duration::from_millis(5)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

#[tokio::test]
async fn lost_connections_are_made_again_and_nothing_is_lost() {
    let Some((store, options)) = named().await else { return };
    assert_eq!(store.reserve(Counter::Runs, 10).await.unwrap(), 1);
    assert_eq!(commit(&store, start(1)).await.unwrap(), Answer::Committed);
    for seq in 1..=3 {
        befalls(&options, "").await;
        assert_eq!(commit(&store, row(1, seq)).await.unwrap(), Answer::Committed);
        assert_eq!(store.owned(ME).await.unwrap(), [RunId(1)]);
    }
    assert_eq!(store.reserve(Counter::Runs, 10).await.unwrap(), 11);
    assert_eq!(options.pulse.read().forgot, 0);
    store.close().await;
}

#[tokio::test]
async fn a_database_that_forgot_is_found_out_before_anything_is_written_to_it() {
    let member = Member {
        writer: ME,
        build: "b".to_owned(),
        workflows: vec!["walk".to_owned()],
        host: String::new(),
        process: 0,
        at: at(0),
    };
    // A line is what is lost.
    for what in include_str!("../../../sql/test/forgets.postgres.sql").lines() {
        let Some((store, options)) = named().await else { return };
        store.fleet().unwrap().join(member.clone()).await.unwrap();
        let first = store.reserve(Counter::Runs, 10).await.unwrap();
        for item in [start(1), row(1, 1), row(1, 2)] {
            assert_eq!(commit(&store, item).await.unwrap(), Answer::Committed);
        }
        if what.contains("beat") {
            store.fleet().unwrap().beat(ME).await.unwrap().unwrap();
        }
        befalls(&options, what).await;
        let error = commit(&store, row(1, 3)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fenced, "{what}");
        assert_eq!(options.pulse.read().forgot, 1, "{what}");
        let rows = store.history(RunId(1)).await.unwrap();
        assert!(rows.iter().all(|event| event.seq < 3), "{what}: {rows:?}");
        // Its next life goes on with what is there, and gives no number again.
        assert!(store.fleet().unwrap().beat(ME).await.unwrap().is_none(), "{what}");
        let next = store.reserve(Counter::Runs, 10).await.unwrap();
        assert!(next >= first + 10, "{what}: {next} after {first}");
        let mut new = start(77);
        new.writer = WriterId(2);
        assert_eq!(commit(&store, new).await.unwrap(), Answer::Committed, "{what}");
        assert_eq!(options.pulse.read().forgot, 1, "{what}");
        store.close().await;
    }
}

#[tokio::test]
async fn a_client_of_a_database_that_forgot_it_goes_on() {
    let Some(options) = PostgresOptions::of_a_test() else { return };
    let url = format!("{}?application_name={}", options.url, options.schema);
    let options = PostgresOptions { worker: false, url, ..options };
    let store = PostgresStore::open(options.clone()).await.unwrap();
    assert_eq!(commit(&store, start(1)).await.unwrap(), Answer::Committed);
    befalls(&options, "truncate runs, active, lanes").await;
    assert_eq!(commit(&store, start(2)).await.unwrap(), Answer::Committed);
    assert_eq!(options.pulse.read().forgot, 1);
    // Nothing of its own was lost, and it is not there any more.
    befalls(&options, "truncate lanes").await;
    assert_eq!(commit(&store, start(3)).await.unwrap(), Answer::Committed);
    store.close().await;
}

/// What the database says when it cannot do what it is asked; none of it is a
/// workflow's fault.
const CODES: [&str; 12] = [
    "40001", "40P01", "55P03", "57014", "0A000", "53100", "53200", "53300", "25006", "57P01",
    "08006", "XX000",
];

#[tokio::test]
async fn whatever_the_database_says_no_item_fails_and_none_goes_in_twice() {
    let Some((store, options)) = named().await else { return };
    let fails = include_str!("../../../sql/test/fails.postgres.sql");
    for (n, code) in (1_i64..).zip(CODES) {
        assert_eq!(commit(&store, start(n)).await.unwrap(), Answer::Committed);
        let text = fails.replace("{code}", code).replace("{times}", "7");
        befalls(&options, &text.replace("{count}", &(n * 100).to_string())).await;
        assert_eq!(commit(&store, row(n, 1)).await.unwrap(), Answer::Committed, "{code}");
        assert_eq!(store.history(RunId(n)).await.unwrap().len(), 1, "{code}");
    }
    // A value that can never be stored is one item's own.
    assert_eq!(commit(&store, start(50)).await.unwrap(), Answer::Committed);
    assert_eq!(commit(&store, start(51)).await.unwrap(), Answer::Committed);
    let text = fails.replace("{code}", "22P05").replace("{times}", "2").replace("{count}", "9000");
    befalls(&options, &text).await;
    let mut answers = Vec::new();
    while answers.is_empty() {
        answers = store.commit(&[row(50, 1), row(51, 1)]).await.unwrap_or_default();
    }
    assert_eq!(answers, [Answer::Refused("on purpose".to_owned()), Answer::Committed]);
    assert_eq!(options.pulse.read().forgot, 0);
    store.close().await;
}

/// Runs that everybody wants in one turn.
const STORM: i64 = 12;
const TURNS: i64 = 200;

/// Does what anybody may do to the same runs at the same moment, in an order of
/// chance.
async fn storms(store: PostgresStore, writer: WriterId, seed: u64, together: Arc<Barrier>) {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    for turn in 1..=TURNS {
        let mut runs: Vec<i64> = (1..=STORM).collect();
        for n in (1..runs.len()).rev() {
            runs.swap(n, usize::try_from(chance.next_u32()).unwrap() % (n + 1));
        }
        // Of the turn before: they are there.
        let all: Vec<RunId> = runs.iter().map(|run| RunId(run + 100 * (turn - 1))).collect();
        let item = |run: &i64| {
            let mut item = start(run + 100 * turn);
            item.start.as_mut().unwrap().queued = run % 2 == 0;
            item.writer = writer;
            item
        };
        let ends = |run: &RunId| {
            let mut item = row(run.0, 1);
            item.writer = writer;
            item.end = Some(End { how: Ended::Failed, output: "{}".into(), at: at(turn) });
            item
        };
        let over = TakeOver {
            writer,
            of: Of::All,
            build: "b".to_owned(),
            now: at(turn),
            max_claims: 3,
            pause: Duration::ZERO,
        };
        let command =
            |kind| Command { number: 0, kind, by: "a".into(), reason: None, at: at(turn) };
        let one = all[0];
        together.wait().await;
        let done = match chance.next_u32() % 10 {
            0..3 => store.commit(&runs.iter().map(item).collect::<Vec<_>>()).await.map(drop),
            3 => store.commit(&all.iter().map(ends).collect::<Vec<_>>()).await.map(drop),
            4 => store.take_over(over).await,
            5 => store.claim(writer, at(10_000), 8, SOUND).await.map(drop),
            6 => store.release(writer, at(turn)).await,
            7 => store.command(one, command(CommandKind::Cancel)).await.map(drop),
            8 => store.command(one, command(CommandKind::Terminate)).await.map(drop),
            _ => match store.vindicate(&all).await {
                Ok(()) => store.delete(&all).await.map(drop),
                error => error,
            },
        };
        done.unwrap();
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_in_a_circle() {
    let more = vec!["deadlock_timeout=20ms".to_owned()];
    let Some(cluster) = cluster(&Settings { more, ..Settings::default() }) else { return };
    let seed = u64::from(std::process::id());
    let (mut storm, together) = (JoinSet::new(), Arc::new(Barrier::new(6)));
    for n in 1..=6 {
        let (url, schema) = (cluster.url().to_owned(), "storm".to_owned());
        let (worker, pooled, lease) = (true, n == 6, Duration::from_secs(15));
        let options = PostgresOptions {
            url,
            schema,
            worker,
            pooled,
            lease,
            pulse: Arc::default(),
            read_only: false,
        };
        let store = PostgresStore::open(options).await.unwrap();
        storm.spawn(storms(
            store,
            WriterId(n),
            seed + u64::try_from(n).unwrap(),
            Arc::clone(&together),
        ));
    }
    while let Some(ended) = storm.join_next().await {
        ended.unwrap();
    }
    let log = cluster.log();
    assert!(!log.contains("deadlock detected"), "seed {seed}: {log}");
}
