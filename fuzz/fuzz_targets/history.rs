//! The libFuzzer target: histories that no build wrote.

#![no_main]

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use workflow_fuzz::{Base, bases, check};

static BASES: OnceLock<Vec<Base>> = OnceLock::new();

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

fuzz_target!(
    init: {
        // A panic of a workflow is caught, and said to nobody; libFuzzer's own
        // hook would end the process for it.
        std::panic::set_hook(Box::new(|info| {
            LAST.set(format!("{info}\n{}", std::backtrace::Backtrace::capture()));
        }));
        BASES.get_or_init(bases);
    },
    |input: &[u8]| {
        let checked = catch_unwind(AssertUnwindSafe(|| check(input, BASES.get_or_init(bases))));
        if checked.is_err() {
            eprintln!("a panic escaped: {}", LAST.take());
            std::process::abort();
        }
    }
);
