//! What the macros say when they are misused: one message per mistake, at the
//! tokens at fault. `TRYBUILD=overwrite cargo ui` writes the answers anew.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn messages() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/*.rs");
    cases.pass("ui/pass/*.rs");
}

/// The same programs in a crate of edition 2021 that calls the runtime `flow`:
/// each gets the messages that are written down, in their first lines.
#[test]
fn another_edition_and_another_name_get_the_same_messages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/renamed");
    let written = renamed_crate(&folder);
    let mut said = said_by_cargo(&folder);
    let mut wrong = Vec::new();
    for (case, expected) in &written {
        let found = said.remove(case).unwrap_or_default();
        if found != *expected {
            wrong.push(format!("{case}\n  expected {expected:#?}\n  found {found:#?}"));
        }
    }
    assert!(written.len() >= 60, "only {} programs", written.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Programs of which the name `flow` makes no difference that can be written
/// down: they say which arguments there are, or name the crate as a user does.
const OTHER_WORDS: &[&str] = &["workflow_runtime", "unknown argument"];

/// Writes the crate; returns the first lines of the errors of each program.
fn renamed_crate(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(folder.join("src/bin")).unwrap();
    fs::copy(tests.join("../Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    fs::write(folder.join("src/lib.rs"), "").unwrap();
    fs::write(folder.join("Cargo.toml"), MANIFEST.replace("TESTS", tests.to_str().unwrap()))
        .unwrap();
    let mut expected = BTreeMap::new();
    for path in programs(&tests.join("ui")) {
        let errors = fs::read_to_string(path.with_extension("stderr")).unwrap();
        let lines: Vec<String> = first_lines(errors.lines());
        if lines.iter().any(|line| OTHER_WORDS.iter().any(|word| line.contains(word))) {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let program = fs::read_to_string(&path).unwrap();
        fs::write(folder.join(format!("src/bin/{name}.rs")), renamed(&program)).unwrap();
        expected.insert(name, lines);
    }
    expected
}

const MANIFEST: &str = r#"
[package]
name = "renamed"
version = "0.0.0"
edition = "2021"

[workspace]

[dependencies]
flow = { package = "workflow-runtime", path = "TESTS/../workflow-runtime", default-features = false, features = ["futures", "testing"] }
futures = { version = "0.3", default-features = false, features = ["std", "async-await", "executor"] }
serde = { version = "1", features = ["derive"] }
thiserror = "2"
tokio = { version = "1", features = ["fs", "macros", "rt-multi-thread", "sync", "time"] }
uuid = { version = "1", features = ["v4", "v7"] }
"#;

fn programs(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|end| end == "rs")).collect()
}

/// The program of a crate in which the runtime has another name.
fn renamed(program: &str) -> String {
    let mut text = program.replace("workflow_runtime", "flow");
    for name in ["workflow", "step", "durable", "signal", "request", "test", "flow::test"] {
        text = text.replace(&format!("#[{name}]"), &format!("#[{name}(crate = ::flow)]"));
        text = text.replace(&format!("#[{name}("), &format!("#[{name}(crate = ::flow, "));
    }
    text.replace("crate = ::flow, crate = ::flow", "crate = ::flow")
}

/// What an error begins with, in an order that does not depend on anything.
fn first_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut errors: Vec<String> = lines
        .filter(|line| line.starts_with("error"))
        .map(|line| line.replace("$DIR/ui/", "src/bin/"))
        .collect();
    errors.sort();
    errors
}

/// Checks all programs at once.
fn said_by_cargo(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["check", "--keep-going", "--bins", "--offline", "--quiet", "--message-format=json"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        let rendered = message["message"]["rendered"].as_str().unwrap_or_default();
        if message["message"]["level"] == "error"
            && let Some(line) = rendered.lines().next()
            && !line.starts_with("error: aborting")
        {
            let case = message["target"]["name"].as_str().unwrap().to_owned();
            said.entry(case).or_default().push(line.to_owned());
        }
    }
    assert!(!said.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    said.values_mut().for_each(|lines| lines.sort());
    said
}
