//! What a dependency may do. No check of a workflow's source sees into it.

use std::time::{Instant, SystemTime};

#[expect(clippy::disallowed_methods, reason = "it is what is to be found")]
pub(crate) fn instant() -> u64 {
    let _now = Instant::now();
    1
}

#[expect(clippy::disallowed_methods, reason = "it is what is to be found")]
pub(crate) fn system_time() -> u64 {
    let _now = SystemTime::now();
    1
}

/// On the thread of a workflow there is no tokio whose time stands still.
pub(crate) fn tokio_instant() -> u64 {
    let _now = tokio::time::Instant::now();
    1
}

pub(crate) fn uuid() -> u64 {
    let _id = uuid::Uuid::new_v4();
    1
}

pub(crate) fn variable() -> u64 {
    let _home = std::env::var("HOME");
    1
}

pub(crate) fn file() -> u64 {
    let _text = std::fs::read("/no/such/file");
    1
}

pub(crate) fn connection() -> u64 {
    let _refused = std::net::TcpStream::connect("127.0.0.1:1");
    1
}

pub(crate) fn thread() -> u64 {
    std::thread::spawn(|| 1).join().unwrap()
}

/// `file:line` of what each of them calls, by its text.
pub(crate) fn place_of(call: &str) -> String {
    let here = include_str!("helpers.rs");
    let line = here.lines().position(|line| line.contains(call)).expect("it is called here");
    format!("tests/sanitize/helpers.rs:{}:", line + 1)
}
