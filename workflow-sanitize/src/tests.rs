//! What is found and what is not, with the rules broken on purpose.

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::mem::forget;
use std::panic::catch_unwind;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use crate::{Finding, Kind, Log, inherited, unwatched, watch};

fn found(body: impl FnOnce()) -> Vec<Finding> {
    logged(|| watch("turn", body))
}

/// What goes to the log while `body` runs.
fn logged(body: impl FnOnce()) -> Vec<Finding> {
    let log = Log::new();
    let _here = log.here();
    body();
    log.take()
}

fn kinds(body: impl FnOnce()) -> Vec<Kind> {
    found(body).into_iter().map(|finding| finding.kind).collect()
}

/// As a helper may have it.
#[expect(clippy::disallowed_methods, reason = "it is what is to be found")]
fn read_clock() {
    let _now = Instant::now();
}
const READ_CLOCK: u32 = line!() - 2;

fn make_id() {
    assert!(!uuid::Uuid::new_v4().is_nil());
}

#[test]
fn a_call_is_found_with_its_function_its_line_and_whose_turn_it_was() {
    let found = found(read_clock);
    let [clock] = &found[..] else { panic!("{found:?}") };
    assert_eq!((clock.kind, clock.function, &*clock.label), (Kind::Clock, "clock_gettime", "turn"));
    assert_eq!(clock.called, None);
    assert!(clock.place.function.ends_with("read_clock"), "{clock:?}");
    let at = clock.place.at.as_deref().unwrap_or_default();
    assert!(at.contains(&format!("src/tests.rs:{READ_CLOCK}:")), "{at}");
}

#[test]
fn each_kind_is_found() {
    assert_eq!(kinds(read_clock), [Kind::Clock]);
    assert_eq!(kinds(make_id), [Kind::Random]);
    assert_eq!(kinds(|| drop(std::env::var_os("HOME"))), [Kind::Environment]);
    assert_eq!(kinds(|| drop(std::fs::read("/nowhere"))), [Kind::File]);
    assert_eq!(kinds(|| drop(std::net::TcpStream::connect("127.0.0.1:1"))), [Kind::Socket]);
    assert_eq!(kinds(|| thread::spawn(|| ()).join().unwrap()), [Kind::Thread]);
}

#[test]
fn a_dependency_is_named_and_so_is_who_called_it() {
    let found = found(make_id);
    let [uuid] = &found[..] else { panic!("{found:?}") };
    let called = uuid.called.as_ref().and_then(|called| called.at.as_deref());
    assert!(called.is_some_and(|at| at.starts_with("uuid-")), "{uuid:?}");
    assert!(uuid.place.at.as_deref().is_some_and(|at| at.contains("src/tests.rs")), "{uuid:?}");
}

#[test]
fn a_place_is_found_once() {
    assert_eq!(kinds(|| (0..3).for_each(|_| read_clock())), [Kind::Clock]);
    let in_two_turns = logged(|| {
        watch("turn", read_clock);
        watch("turn", read_clock);
    });
    assert_eq!(in_two_turns.len(), 1);
}

#[test]
fn outside_of_a_turn_and_without_a_log_nothing_is_found() {
    let outside = logged(|| {
        watch("turn", || ());
        read_clock();
    });
    assert_eq!(outside, []);
    watch("turn", read_clock);
    assert_eq!(logged(|| ()), []);
}

#[test]
fn the_log_before_is_there_again_also_after_a_panic() {
    let log = Log::new();
    let outer = log.here();
    assert_eq!(kinds(read_clock), [Kind::Clock]);
    let panicked = catch_unwind(|| logged(|| panic!("on purpose")));
    assert!(panicked.is_err());
    watch("turn", || drop(std::env::var_os("HOME")));
    drop(outer);
    watch("turn", read_clock);
    let kinds: Vec<_> = log.take().into_iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::Environment]);
}

#[test]
fn a_turn_within_a_turn_ends_nothing() {
    let seen = logged(|| {
        watch("outer", || {
            watch("inner", || ());
            read_clock();
        });
        drop(std::env::var_os("HOME"));
    });
    let seen: Vec<_> = seen.iter().map(|finding| (&*finding.label, finding.kind)).collect();
    assert_eq!(seen, [("outer", Kind::Clock)]);
}

#[test]
fn a_panic_ends_the_turn_and_is_itself_not_found() {
    let seen = logged(|| {
        let panics = || {
            read_clock();
            panic!("on purpose");
        };
        let panicked = catch_unwind(|| watch("turn", panics));
        assert!(panicked.is_err());
        drop(std::env::var_os("HOME"));
    });
    let kinds: Vec<_> = seen.into_iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::Clock]);
}

/// It has the same log, and still no turn.
#[test]
fn other_threads_are_not_watched() {
    let (ask, asked) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let seen = logged(|| {
        let other = thread::spawn(inherited(move || {
            for () in asked {
                read_clock();
                tell.send(()).unwrap();
            }
        }));
        watch("turn", || {
            ask.send(()).unwrap();
            told.recv().unwrap();
        });
        drop(ask);
        other.join().unwrap();
    });
    assert_eq!(seen, []);
}

#[test]
fn turns_of_another_thread_go_to_the_log_it_inherited() {
    let seen = logged(|| {
        let turn = || watch("turn", read_clock);
        thread::spawn(inherited(turn)).join().unwrap();
        thread::spawn(inherited(turn)).join().unwrap();
        thread::spawn(|| watch("turn", make_id)).join().unwrap();
    });
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].kind, Kind::Clock);
}

#[test]
fn who_looks_away_sees_nothing_until_the_end_of_it() {
    let seen = kinds(|| {
        let outer = unwatched();
        drop(unwatched());
        read_clock();
        drop(outer);
        drop(std::env::var_os("HOME"));
    });
    assert_eq!(seen, [Kind::Environment]);
}

#[test]
fn a_turn_looks_whatever_the_one_before_left_behind() {
    found(|| forget(unwatched()));
    assert_eq!(kinds(read_clock), [Kind::Clock]);
    // Dropped where there is no turn, or in another one.
    let (mut kept, mut other) = (None, None);
    found(|| kept = Some(unwatched()));
    drop(kept);
    found(|| other = Some(unwatched()));
    assert_eq!(kinds(|| drop(other.take())), []);
    assert_eq!(kinds(read_clock), [Kind::Clock]);
}

/// Its text is made under a lock of the standard library, and opens files: the
/// first of a process only, so it has one of its own.
#[test]
fn the_stack_of_an_error_is_harmless_and_does_not_wait_for_itself() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["tests::the_first_stack_of_a_process", "--exact", "--ignored"]);
    let output = command.env("RUST_BACKTRACE", "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "another test runs it in a process of its own"]
fn the_first_stack_of_a_process() {
    assert_eq!(found(|| assert!(!Backtrace::capture().to_string().is_empty())), []);
}

#[test]
#[expect(clippy::disallowed_types, reason = "its keys are what is not to be found")]
fn the_keys_of_hash_tables_are_harmless() {
    // A thread draws them once.
    let found = thread::spawn(|| {
        found(|| {
            let map = std::collections::HashMap::from([(1, 2)]);
            assert_eq!(map.get(&1), Some(&2));
        })
    });
    assert_eq!(found.join().unwrap(), []);
}

#[test]
fn more_places_than_there_is_room_for_are_left_out() {
    fn deep(calls: u32) {
        read_clock();
        if calls > 0 {
            deep(calls - 1);
        }
    }
    // Each depth is a stack of its own; deeper than what is kept of one, too.
    assert_eq!(kinds(|| deep(300)), [Kind::Clock]);
    assert_eq!(kinds(read_clock), [Kind::Clock]);
}

#[test]
fn a_turn_in_a_thread_that_ends_does_no_harm() {
    struct AtTheEnd;

    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            assert_eq!(found(read_clock), []);
        }
    }
    thread_local! {
        static KEPT: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
    }
    let ended = thread::spawn(|| {
        KEPT.set(Some(AtTheEnd));
        // Its desk comes later than `KEPT`, so it goes earlier.
        assert_eq!(kinds(read_clock), [Kind::Clock]);
    });
    ended.join().unwrap();
}
