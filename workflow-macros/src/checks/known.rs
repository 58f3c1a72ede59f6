//! What workflow code must not name: the table of paths, methods and macros.
//!
//! Paths are compared by their last segments, or by their first ones; no type
//! is known here. Where a type decides, `typed` says which probe to write.

use syn::Path;

use super::Code;

/// How the compiler is told.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Finding {
    pub(super) code: Code,
    /// The function of `__private::lints` to call.
    pub(super) function: &'static str,
}

const fn found(code: Code, function: &'static str) -> Finding {
    Finding { code, function }
}

const CLOCK: Finding = found(Code::Wf001, "clock");
const CHANCE: Finding = found(Code::Wf002, "chance");
const BLOCKING: Finding = found(Code::Wf004, "blocking");
const TASK: Finding = found(Code::Wf005, "task");
const OUTSIDE: Finding = found(Code::Wf007, "outside");
pub(super) const ORDER: Finding = found(Code::Wf008, "walked");
pub(super) const STATIC_MUT: Finding = found(Code::Wf009, "static_mut");
pub(super) const GLOBAL: Finding = found(Code::Wf009, "global_state");
const PRINTED: Finding = found(Code::Wf010, "printed_again");
const MACHINE: Finding = found(Code::Wf011, "machine");
pub(super) const ADDRESS: Finding = found(Code::Wf011, "address");
const PANIC: Finding = found(Code::Wf014, "swallowed_panic");
pub(super) const IGNORED: Finding = found(Code::Wf014, "ignored");

/// Last segments of a path. One that stands alone is found without any before
/// it, too.
const ENDS: &[(&[&str], Finding)] = &[
    // Of crates whose types are not known here.
    (&["Utc", "now"], CLOCK),
    (&["Local", "now"], CLOCK),
    (&["OffsetDateTime", "now_utc"], CLOCK),
    (&["OffsetDateTime", "now_local"], CLOCK),
    (&["Zoned", "now"], CLOCK),
    (&["jiff", "Timestamp", "now"], CLOCK),
    (&["Ulid", "new"], CHANCE),
    (&["Uuid", "now_v1"], CHANCE),
    (&["Uuid", "now_v6"], CHANCE),
    (&["OsRng"], CHANCE),
    (&["from_os_rng"], CHANCE),
    (&["from_entropy"], CHANCE),
    (&["thread_rng"], CHANCE),
    (&["rand", "random"], CHANCE),
    (&["rand", "rng"], CHANCE),
    (&["thread", "sleep"], BLOCKING),
    (&["thread", "spawn"], BLOCKING),
    (&["thread", "scope"], BLOCKING),
    (&["thread", "park"], BLOCKING),
    (&["thread", "park_timeout"], BLOCKING),
    (&["thread", "yield_now"], BLOCKING),
    (&["thread", "Builder", "new"], BLOCKING),
    (&["spawn_blocking"], BLOCKING),
    (&["block_in_place"], BLOCKING),
    (&["block_on"], BLOCKING),
    (&["tokio", "spawn"], TASK),
    (&["task", "spawn"], TASK),
    (&["task", "spawn_local"], TASK),
    (&["smol", "spawn"], TASK),
    (&["env", "var"], OUTSIDE),
    (&["env", "var_os"], OUTSIDE),
    (&["env", "vars"], OUTSIDE),
    (&["env", "vars_os"], OUTSIDE),
    (&["env", "args"], OUTSIDE),
    (&["env", "args_os"], OUTSIDE),
    (&["env", "current_dir"], OUTSIDE),
    (&["env", "current_exe"], OUTSIDE),
    (&["env", "home_dir"], OUTSIDE),
    (&["env", "temp_dir"], OUTSIDE),
    (&["env", "set_var"], OUTSIDE),
    (&["env", "remove_var"], OUTSIDE),
    (&["io", "stdin"], OUTSIDE),
    (&["thread", "current"], MACHINE),
    (&["available_parallelism"], MACHINE),
    (&["process", "id"], MACHINE),
    (&["catch_unwind"], PANIC),
];

/// First segments of a path with more behind them.
const STARTS: &[(&[&str], Finding)] = &[
    (&["fastrand"], CHANCE),
    (&["getrandom"], CHANCE),
    (&["rayon"], BLOCKING),
    (&["std", "sync", "mpsc"], BLOCKING),
    (&["std", "fs"], OUTSIDE),
    (&["tokio", "fs"], OUTSIDE),
    (&["fs"], OUTSIDE),
    (&["ureq"], OUTSIDE),
    (&["reqwest", "blocking"], OUTSIDE),
    (&["num_cpus"], MACHINE),
    (&["gethostname"], MACHINE),
];

/// Methods of others whatever they are called on.
const METHODS: &[(&str, Finding)] = &[
    ("par_iter", BLOCKING),
    ("par_iter_mut", BLOCKING),
    ("into_par_iter", BLOCKING),
    ("par_bridge", BLOCKING),
    ("blocking_lock", BLOCKING),
    ("blocking_recv", BLOCKING),
    ("blocking_send", BLOCKING),
    ("block_on", BLOCKING),
    ("now_or_never", BLOCKING),
    ("catch_unwind", PANIC),
];

const MACROS: &[(&[&str], Finding)] = &[
    (&["print"], PRINTED),
    (&["println"], PRINTED),
    (&["eprint"], PRINTED),
    (&["eprintln"], PRINTED),
    (&["dbg"], PRINTED),
    (&["nanoid"], CHANCE),
    (&["sqlx", "query"], OUTSIDE),
    (&["sqlx", "query_as"], OUTSIDE),
    (&["sqlx", "query_scalar"], OUTSIDE),
];

/// Functions of a type whose result, by its own type, is what is looked at.
const TYPED: &[(&[&str], Finding)] = &[
    (&["now"], CLOCK),
    (&["new_v4"], CHANCE),
    (&["now_v7"], CHANCE),
    (&["RandomState", "new"], CHANCE),
    (&["Barrier", "new"], BLOCKING),
    (&["Condvar", "new"], BLOCKING),
    (&["JoinSet", "new"], TASK),
    (&["Command", "new"], OUTSIDE),
    (&["File", "open"], OUTSIDE),
    (&["File", "create"], OUTSIDE),
    (&["File", "create_new"], OUTSIDE),
    (&["File", "options"], OUTSIDE),
    (&["OpenOptions", "new"], OUTSIDE),
    (&["TcpStream", "connect"], OUTSIDE),
    (&["TcpListener", "bind"], OUTSIDE),
    (&["UdpSocket", "bind"], OUTSIDE),
];

/// Functions that make the items they are given into calls, in their order.
const IN_ORDER: &[&[&str]] = &[
    &["join_all"],
    &["try_join_all"],
    &["select_all"],
    &["select_ok"],
    &["workflow", "map"],
    &["stream", "iter"],
    &["FuturesUnordered", "from_iter"],
    &["FuturesOrdered", "from_iter"],
];

/// Methods whose closure sees the items in their order.
const WALKS: &[&str] = &["for_each", "try_for_each"];

/// What changes through a shared reference.
const STATE_METHODS: &[&str] = &[
    "load",
    "store",
    "swap",
    "fetch_add",
    "fetch_sub",
    "fetch_and",
    "fetch_or",
    "fetch_xor",
    "fetch_max",
    "fetch_min",
    "fetch_update",
    "compare_exchange",
    "compare_exchange_weak",
    "lock",
    "try_lock",
    "read",
    "write",
    "with",
    "with_borrow",
    "with_borrow_mut",
    "set",
    "take",
    "replace",
];

fn find(table: &[(&[&str], Finding)], matches: impl Fn(&[&str]) -> bool) -> Option<Finding> {
    table.iter().find(|(pattern, _)| matches(pattern)).map(|(_, finding)| *finding)
}

/// The names of a path, `::workflow_runtime::` and its like included.
fn names(path: &Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

fn ends_with(names: &[String], pattern: &[&str]) -> bool {
    names.len() >= pattern.len()
        && names[names.len() - pattern.len()..].iter().zip(pattern).all(|(a, b)| a == b)
}

fn starts_with(names: &[String], pattern: &[&str]) -> bool {
    names.len() > pattern.len() && names.iter().zip(pattern).all(|(a, b)| a == b)
}

pub(super) fn path(path: &Path) -> Option<Finding> {
    let names = names(path);
    find(ENDS, |pattern| ends_with(&names, pattern))
        .or_else(|| find(STARTS, |pattern| starts_with(&names, pattern)))
}

/// The same for the names of a path in tokens.
pub(super) fn named(names: &[String]) -> Option<Finding> {
    const CLOCKS: &[(&[&str], Finding)] = &[
        (&["Instant", "now"], CLOCK),
        (&["SystemTime", "now"], CLOCK),
        (&["Uuid", "new_v4"], CHANCE),
        (&["Uuid", "now_v7"], CHANCE),
    ];
    find(ENDS, |pattern| ends_with(names, pattern))
        .or_else(|| find(STARTS, |pattern| starts_with(names, pattern)))
        .or_else(|| find(CLOCKS, |pattern| ends_with(names, pattern)))
}

/// The probe for the result of a function of that path. A lone name is a
/// variable, or a function of the user.
pub(super) fn typed(path: &Path) -> Option<Finding> {
    let names = names(path);
    let typed = || find(TYPED, |pattern| ends_with(&names, pattern));
    (names.len() > 1).then(typed).flatten()
}

/// The same with the type in angle brackets: `<Instant>::now`.
pub(super) fn typed_of_qself(path: &Path) -> Option<Finding> {
    let names = names(path);
    find(TYPED, |pattern| pattern.len() == 1 && ends_with(&names, pattern))
}

/// The probe for a function that is named and not called.
pub(super) fn makes(finding: Finding) -> Option<&'static str> {
    match finding.function {
        "clock" => Some("makes_clock"),
        "chance" => Some("makes_chance"),
        _ => None,
    }
}

pub(super) fn method(name: &str) -> Option<Finding> {
    METHODS.iter().find(|(known, _)| *known == name).map(|(_, finding)| *finding)
}

pub(super) fn macro_path(path: &Path) -> Option<Finding> {
    let names = names(path);
    let is_own = names.first().is_some_and(|first| first == "workflow");
    let known = || find(MACROS, |pattern| ends_with(&names, pattern));
    (!is_own).then(known).flatten()
}

pub(super) fn is_in_order(path: &Path) -> bool {
    let names = names(path);
    IN_ORDER.iter().any(|pattern| ends_with(&names, pattern))
}

pub(super) fn is_walk(method: &str) -> bool {
    WALKS.contains(&method)
}

/// Whether that is a method of what a `static` holds to change it.
pub(super) fn is_state_method(method: &str) -> bool {
    STATE_METHODS.contains(&method)
}

/// `TOTAL`, `shop::TOTAL`: named like a static.
pub(super) fn is_static(path: &Path) -> bool {
    path.segments.last().is_some_and(|last| {
        let name = last.ident.to_string();
        name.len() > 1
            && name.chars().any(char::is_alphabetic)
            && name.chars().all(|c| c.is_uppercase() || c.is_numeric() || c == '_')
    })
}
