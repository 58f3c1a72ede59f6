//! Rules about the source that no compiler checks.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers of `workflow-runtime`, lowest first. A module uses modules of
/// lower layers, and of its own layer never.
const LAYERS: &[&[&str]] = &[
    &["text", "lints"],
    &["chance", "clock", "error", "inbox", "panics"],
    &["codec", "model", "state"],
    &["message", "turn", "store"],
    &["durable", "step"],
    &["call"],
    &["registry", "workflow"],
    &["client", "worker"],
    &["testing", "check"],
    &["runtime"],
    &["__private", "docs"],
];
const MAX_LINES: usize = 500;

/// `model` names what `state` holds: both are plain facts of one layer.
const SIBLINGS: &[(&str, &str)] = &[("model", "state")];

#[test]
fn modules_use_only_lower_layers() {
    let mut wrong = Vec::new();
    for (path, text) in sources(&runtime()) {
        if is_test(&path) {
            continue;
        }
        let module = top_module(&path);
        let Some(own) = layer(&module) else { continue };
        for used in text.split("crate::").skip(1) {
            let used: String =
                used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let allowed = SIBLINGS.contains(&(&*module, &*used));
            if used != module && !allowed && layer(&used).is_some_and(|other| other >= own) {
                wrong.push(format!("{}: `{module}` uses `{used}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_has_a_layer() {
    for (path, _) in sources(&runtime()) {
        let module = top_module(&path);
        assert!(module == "lib" || layer(&module).is_some(), "give `{module}` a layer");
    }
}

#[test]
fn the_replay_engine_is_pure() {
    let forbidden = ["async fn", "tokio::", "std::time::Instant", "SystemTime", "crate::store"];
    for (path, text) in sources(&runtime().join("turn")) {
        if is_test(&path) {
            continue;
        }
        for word in forbidden {
            assert!(!text.contains(word), "{} has `{word}`", path.display());
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let roots = [
        runtime(),
        root().join("workflow-macros/src"),
        root().join("workflow-sanitize/src"),
        root().join("tests/it"),
    ];
    for (path, text) in roots.iter().flat_map(|root| sources(root)) {
        let lines = text.lines().count();
        assert!(is_test(&path) || lines <= MAX_LINES, "{} has {lines} lines", path.display());
        assert!(text.starts_with("//!"), "{} has no header", path.display());
    }
}

#[test]
fn sql_stands_in_files_and_reads_no_clock() {
    let folder = root().join("workflow-runtime/sql");
    for (path, text) in files(&folder, "sql") {
        let code: String = text.lines().filter(|line| !line.starts_with("--")).collect();
        for word in ["current_timestamp", "now(", "random(", "julianday("] {
            assert!(!code.contains(word), "{} has `{word}`", path.display());
        }
    }
    for (path, text) in sources(&runtime()) {
        for word in ["\"insert into", "\"update ", "\"delete from"] {
            assert!(!text.contains(word), "{} has SQL of its own", path.display());
        }
    }
}

/// Tests may use every layer: the simulation runs the reference store.
fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests")
        || path.file_stem().is_some_and(|name| name == "tests" || name == "conformance")
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn top_module(path: &Path) -> String {
    let first = path.strip_prefix(runtime()).unwrap().components().next().unwrap();
    let first = Path::new(first.as_os_str());
    first.file_stem().unwrap().to_string_lossy().into_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn runtime() -> PathBuf {
    root().join("workflow-runtime/src")
}

/// Every source file below, without its doc comments and its tests.
fn sources(root: &Path) -> Vec<(PathBuf, String)> {
    let bare = |(path, text): (PathBuf, String)| {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("///"));
        (path, lines.collect::<Vec<_>>().join("\n"))
    };
    files(root, "rs").into_iter().map(bare).collect()
}

fn files(root: &Path, extension: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}
