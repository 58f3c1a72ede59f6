//! Single rules of the engine, and deploys of changed code between two lives.

use std::cell::Cell;
use std::sync::Arc;

use super::bench::{Bench, Code, STRICT, at};
use super::chance::Rng;
use super::programs::SHAPES;
use super::{result_of, sleep, step, workflow};
use crate::model::{
    Answer, BlockedKind, CallId, Command, CommandKind, Commanded, EventKind, RunId, WorkflowFuture,
    WriterId,
};
use crate::store::Tables;
use crate::turn::actor::Fate;
use crate::turn::{Actor, Target};

fn old() -> WorkflowFuture {
    workflow(async {
        let a = step("reserve", "alice").await;
        let b = step("charge", "bob").await;
        step("confirm", a + &b).await
    })
}

/// A change of `old`, and after how many events a run of `old` is caught by it.
const CHANGES: &[(&str, Code, std::ops::RangeInclusive<usize>)] = &[
    ("`audit` was inserted", inserted, 1..=2),
    ("`confirm` stands where `charge` was", removed, 1..=2),
    ("other arguments", swapped_arguments, 0..=2),
    ("`confirm` was removed", returns_early, 2..=2),
    ("`debit` stands where `charge` was", replaced, 1..=2),
];

fn inserted() -> WorkflowFuture {
    workflow(async {
        let a = step("reserve", "alice").await;
        let (_, b) = tokio::join!(biased; step("audit", "x"), step("charge", "bob"));
        step("confirm", a + &b).await
    })
}

fn removed() -> WorkflowFuture {
    workflow(async {
        let a = step("reserve", "alice").await;
        step("confirm", a).await
    })
}

fn swapped_arguments() -> WorkflowFuture {
    workflow(async {
        let a = step("reserve", "bob").await;
        let b = step("charge", "alice").await;
        step("confirm", a + &b).await
    })
}

fn returns_early() -> WorkflowFuture {
    workflow(async {
        let (a, b) = (step("reserve", "alice").await, step("charge", "bob").await);
        a + &b
    })
}

fn replaced() -> WorkflowFuture {
    workflow(async {
        let a = step("reserve", "alice").await;
        let b = step("debit", "bob").await;
        step("confirm", a + &b).await
    })
}

#[test]
fn a_deploy_of_changed_code_is_reported_before_anything_runs() {
    for (cause, code, caught) in CHANGES {
        for events in 0..=2 {
            let mut bench = Bench::start(old);
            (0..events).for_each(|_| bench.end(0));
            let bench = bench.crash(*code);
            let report = bench.report();
            assert_eq!(report.is_some(), caught.contains(&events), "{cause}, {events}: {report:?}");
            if let Some(report) = report {
                assert!(report.message().contains(cause), "{report}");
                assert!(bench.running.is_empty(), "{cause}: something was started");
                assert_eq!(bench.stored().history.len(), events, "the history is as it was");
            }
        }
    }
}

/// A step whose result is of use whatever its argument was.
async fn noted(name: &'static str, note: &str) {
    drop(super::untyped(name, note).await);
}

fn three_notes() -> WorkflowFuture {
    workflow(async {
        noted("note", "a").await;
        noted("note", "b").await;
        noted("note", "c").await;
        "done".to_owned()
    })
}

#[test]
fn other_arguments_of_a_call_with_a_result_are_a_warning_unless_they_were_anothers() {
    fn other() -> WorkflowFuture {
        workflow(async {
            noted("note", "A").await;
            noted("note", "b").await;
            noted("note", "c").await;
            "done".to_owned()
        })
    }
    fn shifted() -> WorkflowFuture {
        workflow(async {
            noted("note", "b").await;
            noted("note", "c").await;
            noted("note", "d").await;
            "done".to_owned()
        })
    }
    struct Strict;
    impl Drop for Strict {
        fn drop(&mut self) {
            STRICT.set(true);
        }
    }
    let _again = Strict;
    for (strict, code, blocked) in [
        // In flight: always.
        (false, other as Code, [true, false, false]),
        (true, other, [true, true, true]),
        // With two results the first has the arguments of the second.
        (false, shifted, [true, true, true]),
        (true, shifted, [true, true, true]),
    ] {
        STRICT.set(strict);
        for (events, blocked) in (0..).zip(blocked) {
            let mut bench = Bench::start(three_notes);
            (0..events).for_each(|_| bench.end(0));
            let mut bench = bench.crash(code);
            assert_eq!(
                bench.report().is_some(),
                blocked,
                "{strict} {events}: {:?}",
                bench.report()
            );
            if !blocked {
                while bench.fate.is_none() {
                    bench.end(0);
                }
            }
        }
    }
}

#[test]
fn two_calls_of_one_step_with_swapped_arguments_are_reported_side_by_side() {
    fn one() -> WorkflowFuture {
        workflow(async {
            let (a, b) = tokio::join!(step("charge", "alice"), step("charge", "bob"));
            a + &b
        })
    }
    fn two() -> WorkflowFuture {
        workflow(async {
            let (a, b) = tokio::join!(step("charge", "bob"), step("charge", "alice"));
            a + &b
        })
    }
    for events in 0..=1 {
        let mut bench = Bench::start(one);
        (0..events).for_each(|_| bench.end(0));
        let bench = bench.crash(two);
        let report = bench.report().expect("blocked");
        assert_eq!(report.kind(), BlockedKind::Mismatch);
        let text = report.message();
        let first = "call 0   step charge(\"alice\")   step charge(\"bob\")";
        assert!(text.contains(first), "{text}");
        assert!(text.contains("rules.rs:") && text.contains("another order"), "{text}");
        assert!(bench.running.is_empty());
    }
}

#[test]
fn a_workflow_that_returns_sooner_than_it_did_is_a_mismatch() {
    fn both() -> WorkflowFuture {
        workflow(async { tokio::join!(step("a", 1), step("b", 1)).0 })
    }
    fn first() -> WorkflowFuture {
        workflow(async {
            let (a, b) = (step("a", 1), step("b", 1));
            tokio::select! { biased; got = a => got, got = b => got }
        })
    }
    let mut bench = Bench::start(both);
    bench.end(0);
    let bench = bench.crash(first);
    assert!(bench.report().expect("blocked").message().contains("the workflow returns here"));
    assert!(bench.stored().record.end.is_none());
}

#[test]
fn a_result_that_nobody_awaits_any_more_is_a_mismatch() {
    fn both() -> WorkflowFuture {
        workflow(async { tokio::join!(step("a", 1), step("b", 1), step("c", 1)).2 })
    }
    fn first() -> WorkflowFuture {
        workflow(async {
            let (a, b) = (step("a", 1), step("b", 1));
            let race = async {
                tokio::select! { biased; got = a => got, got = b => got }
            };
            tokio::join!(race, step("c", 1)).1
        })
    }
    let mut bench = Bench::start(both);
    bench.end(0);
    bench.end(0);
    let bench = bench.crash(first);
    assert!(bench.report().expect("blocked").message().contains("dropped by now"));
}

#[test]
fn every_shape_goes_on_from_every_prefix_of_its_history() {
    for (name, code) in SHAPES {
        for seed in 0..40 {
            let mut rng = Rng::new(seed);
            let mut bench = Bench::start(*code);
            let stop = rng.below(12);
            for _ in 0..stop {
                if bench.running.is_empty() {
                    break;
                }
                bench.end(rng.below(bench.running.len()));
            }
            if bench.fate.is_some() {
                continue;
            }
            let before = bench.stored().history.len();
            let mut bench = bench.crash(*code);
            assert!(bench.report().is_none(), "{name}, seed {seed}: {:?}", bench.report());
            while bench.fate.is_none() {
                bench.end(rng.below(bench.running.len()));
            }
            assert!(matches!(bench.fate, Some(Fate::Ended(_))), "{name}, seed {seed}");
            assert!(bench.stored().history.len() > before, "{name}, seed {seed}");
        }
    }
}

thread_local! {
    static BROKEN: Cell<bool> = const { Cell::new(false) };
}

fn panics_after_charge() -> WorkflowFuture {
    workflow(async {
        let charged = async {
            let charged = step("charge", 1).await;
            assert!(!BROKEN.get(), "cannot add");
            charged
        };
        let (a, b) = tokio::join!(charged, step("mail", 1));
        step("confirm", a + &b).await
    })
}

#[test]
fn an_end_of_a_mended_run_that_a_cancellation_prevents_leaves_a_history_that_goes_on() {
    fn code() -> WorkflowFuture {
        workflow(async {
            let charged = step("charge", 1).await;
            assert!(!BROKEN.get(), "not yet");
            charged
        })
    }
    BROKEN.set(true);
    let mut bench = Bench::start(code);
    bench.end(0);
    assert!(matches!(bench.fate, Some(Fate::Blocked)));
    BROKEN.set(false);
    let (stored, now) = (bench.stored(), bench.now + 100);
    bench.tables.seize(RunId(1), WriterId(now), at(now));
    let identity = Bench::identity(now);
    let actor = Actor::recover(Bench::info(), identity, &stored, Ok(code()), at(now));
    // Somebody cancels it before the turn that ends it is in.
    let (kind, by) = (CommandKind::Cancel, "ada".into());
    let cancel = Command { number: 0, kind, by, reason: None, at: at(now) };
    assert_eq!(bench.tables.command(RunId(1), cancel), Commanded::Accepted);
    let bench = Bench::around(bench.tables, actor, now);
    assert!(matches!(bench.fate, Some(Fate::ReadAgain)));
    let begun = bench.stored().history.pop().unwrap();
    assert!(begun.kind == EventKind::Begun && begun.decided.is_none());
    let bench = bench.crash(code);
    assert!(bench.report().is_none(), "{:?}", bench.report());
    assert!(matches!(bench.fate, Some(Fate::Ended(_))));
}

#[test]
fn a_panic_blocks_the_run_and_keeps_the_outcome_that_it_followed() {
    BROKEN.set(true);
    let mut bench = Bench::start(panics_after_charge);
    bench.end(0);
    assert!(matches!(bench.fate, Some(Fate::Blocked)));
    let report = bench.report().expect("blocked");
    assert_eq!(report.kind(), BlockedKind::Panicked);
    assert!(report.message().contains("cannot add"), "{report}");
    // The other step was running: its outcome is kept too.
    bench.actor.keep(
        CallId(1),
        "mail",
        &Arc::<str>::from(result_of("mail", "[\"1\"]")).into(),
        at(2_000),
    );
    bench.commit();
    // The same build is blocked again and adds nothing.
    let bench = bench.crash(panics_after_charge);
    assert_eq!(bench.stored().history.len(), 2);
    // The fix goes on: neither step runs again.
    BROKEN.set(false);
    let mut bench = bench.crash(panics_after_charge);
    assert!(bench.report().is_none());
    assert_eq!(bench.names(), ["confirm"]);
    let kinds: Vec<_> = bench.stored().history.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Step, EventKind::Step, EventKind::Begun, EventKind::Begun]);
    // And replays like any other history.
    bench = bench.crash(panics_after_charge);
    assert!(bench.report().is_none());
    bench.end(0);
    assert!(matches!(bench.fate, Some(Fate::Ended(_))));
}

#[test]
fn a_run_whose_first_turn_panicked_begins_when_the_fix_runs() {
    fn code() -> WorkflowFuture {
        workflow(async {
            assert!(!BROKEN.get(), "not yet");
            sleep(50).await;
            step("done", 1).await
        })
    }
    BROKEN.set(true);
    let bench = Bench::start(code);
    assert!(matches!(bench.fate, Some(Fate::Blocked)));
    assert!(bench.stored().record.decided.is_none());
    BROKEN.set(false);
    let bench = bench.crash(code);
    let begun = bench.stored().history.remove(0);
    assert_eq!((begun.kind, begun.at), (EventKind::Begun, at(1_100)));
    // Its time is the base of the first turn's timers.
    let due = |bench: &Bench| {
        let spec = bench.actor.call(CallId(0)).unwrap();
        let Target::Timer { due } = spec.target else { panic!("a timer") };
        due
    };
    assert_eq!(due(&bench), at(1_150));
    assert_eq!(due(&bench.crash(code)), at(1_150));
}

#[test]
fn what_nothing_durable_can_wake_is_blocked_at_once() {
    fn waits() -> WorkflowFuture {
        workflow(async {
            std::future::pending::<()>().await;
            String::new()
        })
    }
    fn spins() -> WorkflowFuture {
        workflow(std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        }))
    }
    fn is_woken() -> WorkflowFuture {
        workflow(async {
            let wake = std::future::poll_fn(|cx| {
                let waker = cx.waker().clone();
                std::thread::spawn(move || waker.wake()).join().unwrap();
                std::task::Poll::Pending::<()>
            });
            tokio::join!(wake, step("a", 1)).1
        })
    }
    let cases: [(Code, BlockedKind, &str); 3] = [
        (waits, BlockedKind::ForeignAwait, "workflow::sleep"),
        (spins, BlockedKind::BusyLoop, "without end"),
        (is_woken, BlockedKind::ForeignAwait, "outside the workflow woke it"),
    ];
    for (code, kind, words) in cases {
        let report = Bench::start(code).report().expect("blocked");
        assert_eq!(report.kind(), kind);
        assert!(report.message().contains(words), "{report}");
    }
}

#[test]
fn an_item_that_the_store_refuses_blocks_the_run_with_the_reason() {
    let mut bench = Bench::start(old);
    let call = bench.running.remove(0);
    let outcome: Arc<str> = result_of("reserve", "[\"alice\"]").into();
    bench.actor.deliver(call, outcome.into(), at(1_010));
    assert!(bench.actor.flush().is_some());
    bench.answer(Answer::Refused("no room".to_owned()));
    bench.commit();
    let report = bench.report().expect("blocked");
    assert_eq!(report.kind(), BlockedKind::Unstorable);
    assert!(report.message().contains("no room"));
    // What was refused never was: the run goes on from before it.
    let bench = bench.crash(old);
    assert_eq!(bench.names(), ["reserve"]);
}

#[test]
fn a_call_that_is_dropped_before_its_commit_never_starts() {
    fn code() -> WorkflowFuture {
        workflow(async {
            let (a, b) = (step("a", 1), step("b", 1));
            let first = async {
                tokio::select! { biased; got = a => got, got = b => got }
            };
            tokio::join!(first, step("c", 1)).0
        })
    }
    let actor = Actor::start(Bench::info(), Bench::identity(1), "[]".into(), Ok(code()), at(1));
    let mut bench = Bench::around(Tables::default(), actor, 1);
    assert_eq!(bench.names(), ["a", "b", "c"]);
    // `a` ends: `b` is stopped by that commit, not before.
    bench.end(0);
    assert_eq!(bench.names(), ["c"]);
    // An outcome of `b` that was under way is discarded.
    let late: Arc<str> = result_of("b", "[\"1\"]").into();
    assert!(!bench.actor.deliver(CallId(1), late.into(), at(50)));
    assert!(bench.actor.flush().is_none());
}

#[test]
fn outcomes_that_come_while_an_item_is_under_way_form_the_next_one() {
    fn code() -> WorkflowFuture {
        workflow(async {
            let all = (0..4).map(|n| step("s", n));
            futures::future::join_all(all).await.join(",")
        })
    }
    let mut bench = Bench::start(code);
    let calls = std::mem::take(&mut bench.running);
    let mut items = Vec::new();
    for call in calls {
        let args = bench.actor.call(call).unwrap().args.to_string();
        let outcome: Arc<str> = result_of("s", &args).into();
        bench.actor.deliver(call, outcome.into(), at(1_010));
        items.extend(bench.actor.flush());
    }
    assert_eq!(items.len(), 1, "one item on its way at a time");
    let answer = bench.tables.commit(&items).remove(0);
    bench.answer(answer);
    let last = bench.commit();
    assert_eq!(last.len(), 1);
    assert_eq!((last[0].events.len(), last[0].end.is_some()), (3, true));
}
