//! What is kept, and how: codecs, retention, deletion, backup, meta.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use workflow_runtime::{
    BlockedKind, BoxError, Codec, CommandOutcome, ErrorKind, Failure, Filter, Result, Status, step,
    workflow,
};
use workflow_tests::Place;

use crate::steps::{World, builder, runtime};

#[step(retry(attempts = 2, first = "1ms"))]
async fn whisper(#[state] world: &World, secret: String) -> Result<String> {
    step::heartbeat(&secret)?;
    if world.count() == 1 {
        return Err(Failure::new(format!("not yet, {secret}")));
    }
    assert_eq!(step::last_detail::<String>()?, Some(secret.clone()));
    assert_eq!(step::meta("tenant").as_deref(), Some("acme"));
    Ok(format!("{secret}!"))
}

#[workflow]
async fn keeps_secret(secret: String) -> Result<String> {
    assert_eq!(workflow::meta("tenant").as_deref(), Some("acme"));
    let said = whisper(secret).await?;
    workflow::sleep(Duration::from_millis(30)).await;
    Ok(format!("{said}!"))
}

/// Shifts every letter; the key is how far.
#[derive(Debug)]
struct Caesar(u8);

fn shift(text: &str, by: u8) -> String {
    let turn = |c: char, first: u8| {
        let at = (c as u8 - first + by) % 26;
        char::from(first + at)
    };
    let shifted = text.chars().map(|c| match c {
        'a'..='z' => turn(c, b'a'),
        'A'..='Z' => turn(c, b'A'),
        other => other,
    });
    shifted.collect()
}

impl Codec for Caesar {
    fn id(&self) -> &'static str {
        match self.0 {
            3 => "caesar-3",
            _ => "caesar-5",
        }
    }

    fn encode(&self, plain: &str) -> Result<String, BoxError> {
        Ok(shift(plain, self.0))
    }

    fn decode(&self, id: &str, stored: &str) -> Result<String, BoxError> {
        match id {
            "caesar-3" => Ok(shift(stored, 23)),
            // Whoever has the newer key has the older, too.
            "caesar-5" if self.0 == 5 => Ok(shift(stored, 21)),
            other => Err(format!("no key {other}").into()),
        }
    }
}

fn contains(path: &Path, text: &str) -> bool {
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Encodes until it is broken.
#[derive(Debug)]
struct Fragile(Arc<AtomicBool>);

impl Codec for Fragile {
    fn id(&self) -> &'static str {
        "fragile"
    }

    fn encode(&self, plain: &str) -> Result<String, BoxError> {
        if self.0.load(Ordering::SeqCst) { Err("out of keys".into()) } else { Ok(plain.into()) }
    }

    fn decode(&self, _id: &str, stored: &str) -> Result<String, BoxError> {
        Ok(stored.to_owned())
    }
}

#[step]
async fn breaks_its_codec(#[state] world: &World) -> Result<u32> {
    world.reached.notify_one();
    world.gate.notified().await;
    Ok(world.count())
}

#[workflow]
async fn outlives_its_codec(panics: bool) -> Result<u32> {
    let got = breaks_its_codec().await?;
    assert!(!panics, "on purpose");
    Ok(got)
}

#[tokio::test]
async fn a_codec_that_fails_sets_a_run_aside_and_repeats_nothing() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let broken = Arc::new(AtomicBool::new(false));
    let build = || builder(&place, &world).codec(Fragile(Arc::clone(&broken))).build();
    let runtime = build().await.unwrap();
    for (n, panics) in (1..).zip([false, true]) {
        broken.store(false, Ordering::SeqCst);
        let run = runtime.start(outlives_its_codec(panics)).await.unwrap();
        world.reached.notified().await;
        broken.store(true, Ordering::SeqCst);
        world.gate.notify_one();
        while run.status().await.unwrap() != Status::Blocked {
            assert!(world.bodies() <= n, "the step is run again and again");
            tokio::task::yield_now().await;
        }
        let report = run.blocked().await.unwrap().unwrap();
        assert_eq!(report.kind(), BlockedKind::Unstorable);
        assert!(report.message().contains("out of keys"), "{report}");
        assert_eq!(world.bodies(), n);
    }
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn with_a_codec_nothing_that_a_user_wrote_is_in_the_file() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let make = |key| builder(&place, &world).codec(Caesar(key)).park_after(Duration::ZERO);
    let first = make(3).build().await.unwrap();
    let call = || keeps_secret("xyzzy".to_owned()).id("it").meta("tenant", "acme");
    let run = first.start(call()).await.unwrap();
    assert_eq!(run.result().await.unwrap(), "xyzzy!!");
    let history = run.history().await.unwrap();
    assert_eq!(history.events()[0].payload(), Some(r#"{"ok":"xyzzy!"}"#));
    first.shutdown().await.unwrap();
    assert!(!contains(&place.path("test.db"), "xyzzy"));
    assert!(contains(&place.path("test.db"), "caesar-3"));
    // Another key: what the old one wrote is read, the same arguments are the
    // same run.
    let second = make(5).build().await.unwrap();
    let again = second.start(call()).await.unwrap();
    assert_eq!(again.result().await.unwrap(), "xyzzy!!");
    let other = second.start(keeps_secret("plugh".to_owned()).meta("tenant", "acme"));
    let other = other.await.unwrap();
    assert_eq!(other.result().await.unwrap(), "plugh!!");
    let id = other.id().to_owned();
    second.shutdown().await.unwrap();
    // Without its key a result cannot be read, and is not lost.
    let third = make(3).build().await.unwrap();
    let error = third.handle(keeps_secret, id.clone()).status().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    third.shutdown().await.unwrap();
    let fourth = make(5).build().await.unwrap();
    assert_eq!(fourth.handle(keeps_secret, id).result().await.unwrap(), "plugh!!");
}

#[workflow]
async fn waits_for_key() -> Result<u32> {
    workflow::sleep(Duration::from_millis(300)).await;
    Ok(1)
}

#[tokio::test]
async fn an_open_run_without_its_key_is_blocked_until_the_key_is_there() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let make = |key, build: &str| builder(&place, &world).codec(Caesar(key)).build_id(build);
    let first = make(5, "1").build().await.unwrap();
    first.start(waits_for_key().id("it")).await.unwrap();
    first.shutdown().await.unwrap();
    let second = make(3, "2").build().await.unwrap();
    let run = second.handle(waits_for_key, "it");
    while run.status().await.is_ok_and(|status| status != Status::Blocked) {
        tokio::task::yield_now().await;
    }
    second.shutdown().await.unwrap();
    let third = make(5, "3").build().await.unwrap();
    let run = third.handle(waits_for_key, "it");
    assert_eq!(run.result().within(Duration::from_secs(20)).await.unwrap(), 1);
    assert!(run.blocked().await.unwrap().is_none_or(|it| it.kind() == BlockedKind::Corrupt));
}

#[workflow]
async fn short(number: u32) -> Result<u32> {
    if number == 13 { Err(Failure::new("unlucky")) } else { Ok(number) }
}

#[tokio::test]
async fn completed_runs_are_deleted_when_they_are_old_and_others_stay() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let keep = builder(&place, &world).keep_completed(Duration::from_millis(1));
    let runtime = keep.build().await.unwrap();
    for number in [1, 2, 13] {
        let run = runtime.start(short(number).id(format!("short-{number}"))).await.unwrap();
        assert_eq!(run.result().await.is_ok(), number != 13);
    }
    let client = runtime.client();
    loop {
        let page = client.list(Filter::new()).await.unwrap();
        if page.runs().len() == 1 {
            assert_eq!(
                (page.runs()[0].id(), page.runs()[0].status()),
                ("short-13", Status::Failed)
            );
            break;
        }
        tokio::task::yield_now().await;
    }
    // A deleted run frees its id.
    let again = runtime.start(short(5).id("short-1")).await.unwrap();
    assert_eq!(again.result().await.unwrap(), 5);
    assert!(client.delete("short-13").await.unwrap());
    assert!(!client.delete("short-13").await.unwrap());
}

#[tokio::test]
async fn an_open_run_is_not_deleted() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let run = runtime.start(waits_for_key().id("open")).await.unwrap();
    let error = runtime.client().delete("open").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(run.terminate().await.unwrap(), CommandOutcome::Accepted);
    assert!(runtime.client().delete("open").await.unwrap());
}

#[tokio::test]
async fn a_backup_is_the_whole_database_at_one_moment() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let first = runtime(&place, &world).await;
    for number in 0..5 {
        let run = first.start(short(number).id(format!("short-{number}"))).await.unwrap();
        run.result().await.unwrap();
    }
    first.start(waits_for_key().id("open")).await.unwrap();
    let copy = place.path("copy.db");
    first.client().backup(&copy).await.unwrap();
    let twice = first.client().backup(&copy).await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Configuration);
    first.shutdown().await.unwrap();
    let restored = workflow_tests::runtime(&copy).shared_state(Arc::clone(&world));
    let ledger = workflow_tests::Ledger::open(&place.path("ledger2"));
    let restored = restored.state(ledger).shared_state(crate::forms::loud());
    let restored = restored.build().await.unwrap();
    assert_eq!(restored.handle(short, "short-4").result().await.unwrap(), 4);
    assert_eq!(restored.handle(waits_for_key, "open").result().await.unwrap(), 1);
}

#[tokio::test]
async fn meta_is_checked_before_anything_is_started() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    let refuse = async |call| -> String {
        let error = runtime.start(call).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unstorable);
        error.to_string()
    };
    assert!(refuse(short(1).meta("a b", "x")).await.contains("letters, digits"));
    assert!(refuse(short(1).meta("a", "x".repeat(1025))).await.contains("at most 1024"));
    let many = (0..33).fold(short(1), |call, n| call.meta(format!("k{n}"), "x"));
    assert!(refuse(many).await.contains("at most 32"));
    assert!(runtime.client().list(Filter::new()).await.unwrap().runs().is_empty());
}

#[tokio::test]
async fn a_list_has_pages_and_filters() {
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = runtime(&place, &world).await;
    for number in 0..25 {
        let call =
            short(number).id(format!("short-{number:02}")).meta("even", (number % 2).to_string());
        let run = runtime.start(call).await.unwrap();
        assert_eq!(run.result().await.is_ok(), number != 13);
    }
    let mut ids = Vec::new();
    let mut next = Some(Filter::new().workflow(short).meta("even", "0").page_size(5));
    let mut pages = 0;
    while let Some(filter) = next {
        let page = runtime.client().list(filter).await.unwrap();
        ids.extend(page.runs().iter().map(|run| run.id().to_owned()));
        pages += 1;
        next = page.next();
    }
    let even = (0..25).rev().filter(|n| n % 2 == 0);
    assert_eq!(ids, even.map(|n| format!("short-{n:02}")).collect::<Vec<_>>());
    assert_eq!(pages, 3);
    let failed = runtime.client().list(Filter::new().status(Status::Failed)).await.unwrap();
    assert_eq!(failed.runs()[0].id(), "short-13");
    assert!(failed.runs()[0].ended().unwrap() >= failed.runs()[0].started());
}
