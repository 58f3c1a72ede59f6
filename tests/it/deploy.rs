//! Changed code meets runs in flight. `VERSION` stands for the deploy: nothing
//! else of a workflow may depend on such a thing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use workflow_runtime::check::{CheckReport, Verdict};
use workflow_runtime::testing::Recorded;
use workflow_runtime::{
    Blocked, BlockedKind, ErrorKind, FailureKind, Filter, Handle, MismatchCause, Result, Runtime,
    Status, step, workflow,
};
use workflow_tests::Place;

use crate::steps::{World, builder};

static VERSION: AtomicU32 = AtomicU32::new(1);
/// The version is the process's: one test of this file at a time.
static ONE: Mutex<()> = Mutex::const_new(());

fn version() -> u32 {
    VERSION.load(Ordering::SeqCst)
}

#[step]
async fn pay(#[state] world: &World, who: String) -> Result<String> {
    world.count();
    if version() == 1 {
        std::future::pending::<()>().await;
    }
    Ok(format!("paid {who}"))
}

#[step]
async fn prepare(who: String) -> Result<String> {
    Ok(who)
}

#[step]
async fn audit(#[state] world: &World) -> Result<()> {
    world.count();
    Ok(())
}

/// Version 2 swaps the arguments of the two calls; 3 inserts a step before
/// them; 4 is 1 again; 5 inserts the step for runs that come there first.
#[workflow]
async fn settle() -> Result<String> {
    let who = prepare("alice".into()).await?;
    if version() == 3 || version() == 5 && workflow::patched("audit") {
        audit().await?;
    }
    let (first, second) = if version() == 2 { ("bob", &*who) } else { (&*who, "bob") };
    let (a, b) = tokio::join!(pay(first.into()), pay(second.into()));
    Ok(format!("{}, {}", a?, b?))
}

async fn life(place: &Place, world: &Arc<World>, version: u32) -> Runtime {
    VERSION.store(version, Ordering::SeqCst);
    builder(place, world)
        .build_id(format!("build {version}"))
        .shutdown_grace(Duration::ZERO)
        .build()
        .await
        .unwrap()
}

/// Runs version 1 until both payments are in flight, then dies.
async fn in_flight(place: &Place, world: &Arc<World>) {
    let runtime = life(place, world, 1).await;
    runtime.start(settle().id("s")).await.unwrap();
    while world.bodies() < 2 {
        tokio::task::yield_now().await;
    }
    runtime.shutdown().await.unwrap();
}

async fn report_of<T>(run: &Handle<T>) -> Blocked {
    loop {
        if let Some(report) = run.blocked().await.unwrap() {
            return report;
        }
        assert!(!run.status().await.unwrap().is_ended());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn swapped_arguments_and_inserted_steps_are_reported_before_anything_runs() {
    let _one = ONE.lock().await;
    let cases = [
        (2, "step pay(\"alice\")   step pay(\"bob\")", "in another order"),
        (3, "step pay(\"alice\")   step audit()", "`audit` stands where `pay` was"),
    ];
    for (changed, side_by_side, cause) in cases {
        let (place, world) = (Place::new(), Arc::<World>::default());
        in_flight(&place, &world).await;
        let second = life(&place, &world, changed).await;
        let run = second.handle(settle, "s");
        let report = report_of(&run).await;
        assert_eq!(report.kind(), BlockedKind::Mismatch);
        let text = report.to_string();
        assert!(text.contains(side_by_side) && text.contains(cause), "{text}");
        assert!(text.contains("deploy.rs:") && text.contains("Nothing was executed"), "{text}");
        assert_eq!(report.build(), format!("build {changed}"));
        let mismatch = report.mismatch().unwrap();
        assert_eq!((mismatch.event(), mismatch.recorded_by()), (1, Some("build 1")));
        let first = &mismatch.calls()[0];
        let places = [&first.recorded, &first.actual].map(|call| call.clone().unwrap().at.unwrap());
        assert!(places.iter().all(|at| at.contains("deploy.rs:")), "{places:?}");
        assert_eq!(places[0] == places[1], changed == 2, "{places:?}");
        let fix = mismatch.fix().unwrap_or_default();
        assert_eq!(fix.contains("workflow::patched(\"audit\")"), changed == 3, "{fix}");
        assert_eq!((world.bodies(), run.history().await.unwrap().events().len()), (2, 1));
        second.shutdown().await.unwrap();
        // The same build does not try again; the fixed one goes on.
        let same = life(&place, &world, changed).await;
        assert_eq!(same.handle(settle, "s").status().await.unwrap(), Status::Blocked);
        same.shutdown().await.unwrap();
        let fixed = life(&place, &world, 4).await;
        let run = fixed.handle(settle, "s");
        assert_eq!(run.result().await.unwrap(), "paid alice, paid bob");
        assert!(run.blocked().await.unwrap().is_none());
        assert_eq!(world.bodies(), 4, "two bodies in the first life, two in the last");
    }
}

#[tokio::test]
async fn a_patch_lets_old_runs_go_on_as_they_did_and_new_ones_take_the_new_way() {
    let _one = ONE.lock().await;
    let (place, world) = (Place::new(), Arc::<World>::default());
    in_flight(&place, &world).await;
    let patched = life(&place, &world, 5).await;
    let old = patched.handle(settle, "s");
    assert_eq!(old.result().await.unwrap(), "paid alice, paid bob");
    assert_eq!(world.bodies(), 4, "two bodies in each life, and no audit");
    let new = patched.start(settle().id("new")).await.unwrap();
    assert_eq!(new.result().await.unwrap(), "paid alice, paid bob");
    assert_eq!(world.bodies(), 7, "an audit and two bodies");
    let history = new.history().await.unwrap();
    let decided =
        |text: &str| history.events().iter().any(|one| one.decided().unwrap_or("").contains(text));
    assert!(decided("{\"patched\":\"audit\"}"), "{history}");
    patched.shutdown().await.unwrap();
}

/// Runs `settle` and checks the database beside the runtime, for each build.
#[tokio::test]
async fn a_check_says_which_open_runs_a_build_could_not_go_on_with_and_changes_nothing() {
    let _one = ONE.lock().await;
    let (place, world) = (Place::new(), Arc::<World>::default());
    let running = life(&place, &world, 1).await;
    running.start(settle().id("s")).await.unwrap();
    running.start(dozes().id("n")).await.unwrap();
    while world.bodies() < 2 {
        tokio::task::yield_now().await;
    }
    let check = || builder(&place, &world).build_id("next").check();
    let verdict = |report: &CheckReport, id: &str| {
        report.runs().iter().find(|run| run.id == id).unwrap().verdict.clone()
    };
    let before = rows(&place).await;
    let good = check().await.unwrap();
    assert!(good.is_good() && good.runs().len() == 2, "{good}");
    assert!(matches!(verdict(&good, "n"), Verdict::Replays), "{good}");
    let Verdict::WouldStart(next) = verdict(&good, "s") else { panic!("{good}") };
    assert_eq!(next.iter().map(|call| &*call.name).collect::<Vec<_>>(), ["pay", "pay"]);
    assert!(good.to_string().contains("would start: pay (2)"), "{good}");
    VERSION.store(3, Ordering::SeqCst);
    let bad = check().await.unwrap();
    VERSION.store(1, Ordering::SeqCst);
    assert!(matches!(verdict(&bad, "s"), Verdict::Mismatch(_)) && !bad.is_good(), "{bad}");
    assert!(bad.to_string().contains("mismatch: `settle` (run s)"), "{bad}");
    assert_eq!(rows(&place).await, before, "the check wrote something");
    running.shutdown().await.unwrap();
    let mut sql = place.sql().await;
    for (change, told) in [
        ("update runs set workflow = 'gone' where workflow_id = 's'", "not registered: `gone`"),
        (
            "update runs set workflow = 'dozes', args = '[1, 2]' where workflow_id = 's'",
            "does not decode",
        ),
    ] {
        sqlx::query(change).execute(&mut sql).await.unwrap();
        let report = check().await.unwrap();
        assert_eq!(report.stranded().count(), 1, "{report}");
        assert!(report.to_string().contains(told), "{report}");
    }
}

/// The same workflow, but that its runs end where the code does not fit.
#[workflow(on_mismatch = fail)]
async fn settle_or_fail() -> Result<String> {
    if version() == 2 {
        audit().await?;
    }
    pay("carol".into()).await
}

#[tokio::test]
async fn a_mismatch_ends_a_run_whose_workflow_says_so() {
    let _one = ONE.lock().await;
    let (place, world) = (Place::new(), Arc::<World>::default());
    let first = life(&place, &world, 1).await;
    first.start(settle_or_fail().id("f")).await.unwrap();
    first.shutdown().await.unwrap();
    let second = life(&place, &world, 2).await;
    let run = second.handle(settle_or_fail, "f");
    let failure = run.result().await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Mismatch);
    assert!(failure.to_string().contains("`audit` stands where `pay` was"), "{failure}");
    assert_eq!(run.status().await.unwrap(), Status::Failed);
    second.shutdown().await.unwrap();
    let third = life(&place, &world, 4).await;
    assert_eq!(third.handle(settle_or_fail, "f").status().await.unwrap(), Status::Failed);
    third.shutdown().await.unwrap();
}

#[workflow(name = "insure")]
async fn insure_1(cents: u64) -> Result<u64> {
    workflow::sleep(Duration::from_millis(20)).await;
    Ok(cents)
}

#[workflow(name = "insure", version = 2)]
async fn insure(cents: u64, currency: String) -> Result<String> {
    workflow::sleep(Duration::from_millis(20)).await;
    Ok(format!("{cents} {currency}"))
}

#[tokio::test]
async fn two_versions_of_a_workflow_stand_side_by_side() {
    let _one = ONE.lock().await;
    let (place, world) = (Place::new(), Arc::<World>::default());
    let runtime = life(&place, &world, 1).await;
    let old = runtime.start(insure_1(7).id("old")).await.unwrap();
    let new = runtime.start(insure(7, "EUR".into()).id("new")).await.unwrap();
    assert_eq!(old.result().await.unwrap(), 7);
    assert_eq!(new.result().await.unwrap(), "7 EUR");
    let page = runtime.client().list(Filter::new()).await.unwrap();
    let names: Vec<_> = page.runs().iter().map(|run| run.workflow().to_owned()).collect();
    assert_eq!(names, ["insure@2", "insure"]);
    runtime.shutdown().await.unwrap();
}

#[step]
async fn told(#[state] world: &World, what: String) -> Result<()> {
    world.notes.lock().unwrap().push(what);
    Ok(())
}

/// Version 2 tells something else.
#[workflow]
async fn tells() -> Result<()> {
    told(if version() == 2 { "new" } else { "old" }.to_owned()).await?;
    pay("dave".into()).await?;
    Ok(())
}

#[tokio::test]
async fn other_arguments_of_a_call_that_has_its_result_block_a_run_only_where_they_are_to() {
    let _one = ONE.lock().await;
    for strict in [true, false] {
        let (place, world) = (Place::new(), Arc::<World>::default());
        let first = life(&place, &world, 1).await;
        first.start(tells().id("t")).await.unwrap();
        while world.bodies() < 1 {
            tokio::task::yield_now().await;
        }
        first.shutdown().await.unwrap();
        VERSION.store(2, Ordering::SeqCst);
        let second = builder(&place, &world).build_id("build 2");
        let second = if strict { second.strict_arguments() } else { second };
        let report = builder(&place, &world).check().await.unwrap();
        assert!(report.is_good(), "{report}");
        let second = second.build().await.unwrap();
        let run = second.handle(tells, "t");
        if strict {
            let report = report_of(&run).await;
            assert!(report.message().contains("told(\"old\")   step told(\"new\")"), "{report}");
        } else {
            run.result().await.unwrap();
        }
        assert_eq!(*world.notes.lock().unwrap(), ["old"], "it was told once");
        second.shutdown().await.unwrap();
    }
}

/// A run that waits, and that version 2 cannot go on with.
#[workflow]
async fn waits_long() -> Result<()> {
    prepare("x".into()).await?;
    if version() == 2 {
        audit().await?;
    }
    workflow::sleep(Duration::from_secs(3_600)).await;
    Ok(())
}

#[tokio::test]
async fn a_worker_that_starts_names_the_waiting_runs_that_it_will_not_be_able_to_go_on_with() {
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<String>>);

    impl tracing::field::Visit for Lines {
        fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
            self.0.lock().unwrap().push_str(&format!("{value:?}\n"));
        }
    }

    impl tracing::Subscriber for Lines {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            event.record(&mut self.clone());
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    let _one = ONE.lock().await;
    let (place, world) = (Place::new(), Arc::<World>::default());
    VERSION.store(1, Ordering::SeqCst);
    let first = builder(&place, &world).park_after(Duration::ZERO).build().await.unwrap();
    let run = first.start(waits_long().id("w")).await.unwrap();
    while run.status().await.unwrap() != Status::Waiting {
        tokio::task::yield_now().await;
    }
    first.shutdown().await.unwrap();
    let lines = Lines::default();
    let _told = tracing::subscriber::set_default(lines.clone());
    let second = life(&place, &world, 2).await;
    while lines.0.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let told = lines.0.lock().unwrap().clone();
    assert!(told.contains("cannot go on with 1 of the 1 waiting runs"), "{told}");
    assert!(told.contains("`waits_long` (run w)") && told.contains("`audit` stands"), "{told}");
    // It was only looked at.
    let run = second.handle(waits_long, "w");
    assert_eq!(run.status().await.unwrap(), Status::Waiting);
    assert_eq!(world.bodies(), 0);
    second.shutdown().await.unwrap();
}

/// The order of a hash table decides, and this build is no other one.
#[workflow]
#[expect(clippy::disallowed_types, reason = "its order is what is found")]
async fn in_hash_order() -> Result<()> {
    let all: std::collections::HashSet<u32> = (0..1_000).collect();
    if let Some(one) = all.into_iter().next() {
        prepare(one.to_string()).await?;
    }
    workflow::sleep(Duration::from_secs(3_600)).await;
    Ok(())
}

#[tokio::test]
async fn code_that_is_not_deterministic_is_proven_to_be() {
    let _one = ONE.lock().await;
    let (place, world) = (Place::new(), Arc::<World>::default());
    let first = life(&place, &world, 1).await;
    let run = first.start(in_hash_order().id("h")).await.unwrap();
    while run.history().await.unwrap().events().is_empty() {
        tokio::task::yield_now().await;
    }
    first.shutdown().await.unwrap();
    let again = builder(&place, &world).build_id("build 1").strict_arguments();
    let again = again.build().await.unwrap();
    let report = report_of(&again.handle(in_hash_order, "h")).await;
    let mismatch = report.mismatch().unwrap();
    assert!(matches!(mismatch.cause(), MismatchCause::NotDeterministic(_)), "{report}");
    assert!(report.message().contains("this code is not deterministic"), "{report}");
    again.shutdown().await.unwrap();
}

async fn rows(place: &Place) -> Vec<(i64, i64, String)> {
    let all = "select run, seq, coalesce(decided, '') from history union all
               select run, owner, '' from active order by 1, 2";
    sqlx::query_as(all).fetch_all(&mut place.sql().await).await.unwrap()
}

#[workflow]
async fn dozes() -> Result<()> {
    workflow::sleep(Duration::from_secs(3_600)).await;
    Ok(())
}

#[tokio::test]
async fn a_check_of_no_database_says_so_and_makes_none() {
    let place = Place::new();
    let error = Runtime::builder(format!("sqlite://{}", place.path("none.db").display()))
        .check()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("there is no file"), "{error}");
    assert!(!place.path("none.db").exists());
}

#[workflow]
async fn pays_a_card(card_number: Card) -> Result<String> {
    prepare(card_number.card_number).await
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Card {
    card_number: String,
    cents: u64,
}

#[tokio::test]
async fn an_exported_history_replays_with_and_without_the_fields_that_were_taken_out() {
    let place = Place::new();
    let runtime = builder(&place, &Arc::default()).build().await.unwrap();
    let card = Card { card_number: "4111-1111".to_owned(), cents: 250 };
    let run = runtime.start(pays_a_card(card).id("x")).await.unwrap();
    run.result().await.unwrap();
    let whole = run.export().to_text().await.unwrap();
    assert!(whole.contains("4111-1111") && whole.contains("\"hash\""), "{whole}");
    Recorded::read(&whole).unwrap().replay().unwrap();
    let text = run.export().redact("card_*").to_text().await.unwrap();
    assert!(
        text.contains("\"card_number\": \"redacted\"")
            || text.contains("\"card_number\":\"redacted\""),
        "{text}"
    );
    assert!(text.contains("250") && !text.contains("\"hash\""), "{text}");
    runtime.shutdown().await.unwrap();
}

#[workflow(name = "renamed-now", was = "renamed_before")]
async fn renamed() -> Result<String> {
    relabelled().await
}

#[step(name = "relabelled-now", was = ["first", "relabelled_before"])]
async fn relabelled() -> Result<String> {
    Ok("went on".to_owned())
}

#[tokio::test]
async fn a_run_in_flight_survives_a_rename_that_is_said() {
    let _one = ONE.lock().await;
    let (place, world) = (Place::new(), Arc::<World>::default());
    let first = life(&place, &world, 1).await;
    first.start(settle().id("s")).await.unwrap();
    while world.bodies() < 2 {
        tokio::task::yield_now().await;
    }
    first.shutdown().await.unwrap();
    // As if the run were one of `renamed_before` with its step in flight.
    let mut sql = place.sql().await;
    let decided = "update runs set workflow = 'renamed_before', decided = replace(replace(replace(
        decided, 'prepare', 'relabelled_before'), '[\"alice\"]', '[]'), $1, $2)";
    let hash: String = sqlx::query_scalar("select json_extract(decided, '$[0].hash') from runs")
        .fetch_one(&mut sql)
        .await
        .unwrap();
    // The first half of SHA-256 of `[]`.
    sqlx::query(decided).bind(hash).bind("4f53cda18c2baa0c").execute(&mut sql).await.unwrap();
    sqlx::query("delete from history").execute(&mut sql).await.unwrap();
    let second = life(&place, &world, 4).await;
    let run = second.handle(renamed, "s");
    assert_eq!(run.result().await.unwrap(), "went on");
}

#[workflow]
async fn falls_over() -> Result<String> {
    let text = prepare("text".into()).await?;
    assert!(version() != 2, "version 2 cannot do this");
    Ok(text)
}

#[tokio::test]
async fn a_blocked_run_goes_on_with_the_fix_and_its_steps_do_not_run_again() {
    let _one = ONE.lock().await;
    let (place, world) = (Place::new(), Arc::<World>::default());
    let broken = life(&place, &world, 2).await;
    let run = broken.start(falls_over().id("f")).await.unwrap();
    assert!(report_of(&run).await.to_string().contains("version 2 cannot do this"));
    broken.shutdown().await.unwrap();
    let fixed = life(&place, &world, 4).await;
    let run = fixed.handle(falls_over, "f");
    assert_eq!(run.result().await.unwrap(), "text");
    let history = run.history().await.unwrap();
    let kinds: Vec<_> = history.events().iter().map(workflow_runtime::HistoryEvent::kind).collect();
    assert_eq!(kinds, ["step", "begun"], "the step has one event");
}
