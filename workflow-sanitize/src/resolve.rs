//! From addresses to what a person reads: names, places, and whether a call
//! matters at all.

use std::borrow::Cow;
use std::path::Path;

use backtrace::Symbol;

use crate::Kind;
use crate::finding::{Finding, Frame};
use crate::stack::Stack;
use crate::watch;

/// A part of a program, by the path of its functions and by their files: of
/// optimized code, debug information often has only the last names.
struct Code(&'static str, &'static str);

const STD: &[Code] = &[
    Code("std::", "/rustc/"),
    Code("core::", "/lib/rustlib/src/rust/library/"),
    Code("alloc::", "/lib/rustlib/src/rust/library/"),
    // Made by the compiler.
    Code("__rust", "/rustc/"),
];
const RUNTIME: &[Code] = &[
    Code("workflow_runtime::", "/workflow-runtime/src/"),
    Code("workflow_runtime::", "/workflow-runtime-0."),
];
/// What makes whatever it calls harmless.
const HARMLESS: &[Code] = &[
    // The text of an error's stack; it opens the executable for its names.
    Code("std::backtrace::", "/library/std/src/backtrace.rs"),
    Code("std::backtrace_rs::", "/../../backtrace/src/"),
    Code("backtrace::", "/backtrace-0."),
    // A log may have times; no workflow sees them.
    Code("tracing_core::", "/tracing-core-0."),
    Code("log::", "/log-0."),
];
/// What makes a call of one kind harmless, by a part of a function's name.
const PARTS: &[(Kind, &str)] = &[
    // The keys of hash tables.
    (Kind::Random, "RandomState"),
    (Kind::Random, "hashmap_random_keys"),
    // `RUST_MIN_STACK`: the thread itself is found.
    (Kind::Environment, "min_stack"),
];

/// A function in a stack, and what decides what it is.
struct Seen {
    function: String,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
}

/// What is to be said of a call; none if it is harmless.
pub(crate) fn finding(label: &str, stack: &Stack) -> Option<Finding> {
    let frames = watched(stack);
    let (kind, function) = (stack.function.kind, stack.function.name);
    if frames.iter().any(|seen| seen.is_harmless(kind)) {
        return None;
    }
    let own: Vec<&Seen> = frames.iter().filter(|seen| !seen.is_std()).collect();
    let innermost = own.first().copied().or(frames.last())?;
    // What the runtime itself calls is none of the workflow's doing.
    if innermost.is_runtime() {
        return None;
    }
    let at = own.iter().position(|seen| !seen.is_runtime() && seen.is_here());
    let place = at.and_then(|at| own.get(at)).copied().unwrap_or(innermost);
    let called = at.and_then(|at| at.checked_sub(1)).and_then(|at| own.get(at)).copied();
    let (called, place) = (called.map(Seen::frame), place.frame());
    Some(Finding { label: label.to_owned(), kind, function, place, called })
}

/// The functions between the symbol of libc and [`watch`](crate::watch),
/// innermost first, as far as they have names.
fn watched(stack: &Stack) -> Vec<Seen> {
    let mut all = Vec::new();
    for address in stack.frames() {
        let address = std::ptr::with_exposed_provenance_mut(*address);
        backtrace::resolve(address, |symbol| all.extend(Seen::of(symbol)));
    }
    let inside = all.into_iter().skip_while(|seen| seen.function != stack.function.name).skip(1);
    inside.take_while(|seen| !seen.is_watch()).collect()
}

impl Seen {
    fn of(symbol: &Symbol) -> Option<Self> {
        // Without the hash that makes it unique.
        let function = format!("{:#}", symbol.name()?);
        let file = symbol.filename().map(Path::to_string_lossy).map(Cow::into_owned);
        Some(Self { function, file, line: symbol.lineno(), column: symbol.colno() })
    }

    fn is_of(&self, code: &Code) -> bool {
        let Code(path, folder) = code;
        // `<std::fs::File as ..>` begins with `std`.
        let named = self.function.trim_start_matches(['<', '&', '*']).starts_with(path);
        named || self.file.as_deref().is_some_and(|file| file.contains(folder))
    }

    fn is_harmless(&self, kind: Kind) -> bool {
        let part = |(of, part): &(Kind, &str)| *of == kind && self.function.contains(part);
        HARMLESS.iter().any(|code| self.is_of(code)) || PARTS.iter().any(part)
    }

    fn is_std(&self) -> bool {
        match &self.file {
            // A trait of the user's may be implemented for `std::..`.
            Some(file) => STD.iter().any(|Code(_, folder)| file.contains(folder)),
            None => STD.iter().any(|code| self.is_of(code)),
        }
    }

    fn is_runtime(&self) -> bool {
        RUNTIME.iter().any(|code| self.is_of(code))
    }

    fn is_watch(&self) -> bool {
        self.function.starts_with("workflow_sanitize::watch::watch")
            || self.file.as_deref().is_some_and(|file| file.ends_with(watch::FILE))
    }

    /// Its source is no download of cargo's.
    fn is_here(&self) -> bool {
        self.file.as_deref().is_some_and(|file| downloaded(file).is_none())
    }

    fn frame(&self) -> Frame {
        // Bodies of `async fn`s are closures, of `{{closure}}` or `{closure#0}`.
        let named = self.function.find("::{").unwrap_or(self.function.len());
        let function = self.function[..named].to_owned();
        let at = self.file.as_deref().map(|file| {
            let mut at = downloaded(file).unwrap_or(file).to_owned();
            for number in [self.line, self.column].into_iter().flatten() {
                at.push_str(&format!(":{number}"));
            }
            at
        });
        Frame { function, at }
    }
}

/// The path of a downloaded file from its package on.
fn downloaded(file: &str) -> Option<&str> {
    let inside = |folder: &str| file.split_once(folder).map(|(_, inside)| inside);
    // Below these is one folder for the registry or the repository.
    let below = inside("/registry/src/").or_else(|| inside("/git/checkouts/"))?;
    below.split_once('/').map(|(_, package)| package)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(function: &str, file: Option<&str>) -> Seen {
        let file = file.map(str::to_owned);
        Seen { function: function.to_owned(), file, line: Some(7), column: None }
    }

    #[test]
    fn a_function_of_the_standard_library_is_known_by_its_file_or_its_name() {
        let file = "/rustc/59807616e/library/std/src/time.rs";
        assert!(seen("std::time::Instant::now", Some(file)).is_std());
        assert!(seen("<std::fs::File as std::io::Read>::read", None).is_std());
        assert!(!seen("<alloc::vec::Vec<T> as shop::Ext>::f", Some("/shop/src/lib.rs")).is_std());
        assert!(!seen("stdlike::now", None).is_std());
    }

    #[test]
    fn a_downloaded_file_is_named_from_its_package_on() {
        let file = "/home/ada/.cargo/registry/src/index.crates.io-1949/uuid-1.18.1/src/rng.rs";
        let rng = seen("uuid::rng::bytes::{{closure}}", Some(file));
        assert!(!rng.is_here());
        assert_eq!(rng.frame().to_string(), "uuid-1.18.1/src/rng.rs:7, in uuid::rng::bytes");
        assert!(seen("shop::today", Some("/home/ada/shop/src/lib.rs")).is_here());
    }

    #[test]
    fn the_runtime_and_loggers_are_known_by_their_file_too() {
        let file = "/home/ada/workflow/workflow-runtime/src/turn/instance.rs";
        assert!(seen("poll", Some(file)).is_runtime());
        let file = "/home/ada/.cargo/registry/src/index/tracing-core-0.1.34/src/event.rs";
        assert!(seen("dispatch", Some(file)).is_harmless(Kind::Clock));
        assert!(seen("tracing_core::event::Event::dispatch", None).is_harmless(Kind::Clock));
    }

    #[test]
    fn only_its_keys_make_a_hash_table_harmless() {
        let table = seen("std::hash::random::RandomState::new", None);
        assert!(table.is_harmless(Kind::Random));
        assert!(!table.is_harmless(Kind::Clock));
    }
}
