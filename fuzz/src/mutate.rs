//! Bytes of an input decide what is damaged, and how.

use serde_json::{Value, json};
use workflow_runtime::testing::Row;

/// Most damages of one history.
const MOST: usize = 48;
/// A payload over the limit of the kit.
const HUGE: usize = 3 << 19;

/// The bytes of an input, taken one by one; none are zeros.
#[derive(Debug)]
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit.max(1)
    }

    pub(crate) fn pick<'b, T>(&mut self, from: &'b [T]) -> Option<&'b T> {
        let at = self.below(from.len());
        from.get(at)
    }

    fn text(&mut self) -> String {
        let length = self.below(24).min(self.0.len());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }

    fn number(&mut self) -> i64 {
        match self.byte() {
            250 => i64::MIN,
            251 => i64::MAX,
            252 => i64::from(u32::MAX),
            253 => i64::from(i32::MAX),
            254 => 1 << 31,
            255 => -1,
            small => small.into(),
        }
    }
}

/// Damages what a file says. `others` are other valid histories.
pub(crate) fn file(file: &mut Value, others: &[&Value], bytes: &mut Bytes<'_>) {
    for _ in 0..bytes.below(MOST) {
        match bytes.below(4) {
            0 => head(file, others, bytes),
            1 => order(file, others, bytes),
            2 => event(file, bytes),
            _ => decisions(file, bytes),
        }
    }
}

/// What stands before the events, and the end.
fn head(file: &mut Value, others: &[&Value], bytes: &mut Bytes<'_>) {
    let other = bytes.pick(others).copied().cloned().unwrap_or_default();
    let end = ["completed", "failed", "cancelled", "terminated", "continued", "dead", "danced"];
    match bytes.below(9) {
        0 => file["workflow"] = other["workflow"].clone(),
        1 => file["args"] = value(bytes),
        2 => file["args"] = other["args"].clone(),
        3 => file["seed"] = bytes.number().into(),
        4 => file["created"] = bytes.number().into(),
        5 => file["meta"] = value(bytes),
        6 => file["end"] = Value::Null,
        7 => {
            let how = bytes.pick(&end).copied().unwrap_or_default();
            file["end"] = json!({ "how": how, "at": bytes.number(), "output": value(bytes) });
        }
        _ => file["decided"] = Value::Null,
    }
}

/// Which events there are, and in which order.
fn order(file: &mut Value, others: &[&Value], bytes: &mut Bytes<'_>) {
    let other = bytes.pick(others).copied().cloned().unwrap_or_default();
    let foreign = bytes.pick(other["events"].as_array().map_or(&[], Vec::as_slice)).cloned();
    let Some(events) = file["events"].as_array_mut() else { return };
    let (at, to) = (bytes.below(events.len()), bytes.below(events.len() + 1));
    let last = events.len().saturating_sub(1);
    if events.is_empty() {
        return events.extend(foreign);
    }
    match bytes.below(6) {
        0 => drop(events.remove(at)),
        1 => events.insert(to, events[at].clone()),
        2 => events.swap(at, to.min(last)),
        3 => events.truncate(at),
        4 => drop(events.splice(to..to, foreign)),
        // It was stored while the run was blocked, and delivered later.
        _ => {
            let decided = events[at]["decided"].take();
            let begun = json!({ "kind": "begun", "name": "", "at": 0, "decided": decided });
            events.insert(to.max(at + 1), begun);
        }
    }
}

fn event(file: &mut Value, bytes: &mut Bytes<'_>) {
    let kinds = ["begun", "step", "timer", "cancelled", "refused", "danced"];
    let names = ["quote", "charge", "note", "sleep", "sleep_until", ""];
    let Some(events) = file["events"].as_array_mut().filter(|events| !events.is_empty()) else {
        return;
    };
    let (at, from) = (bytes.below(events.len()), bytes.below(events.len()));
    match bytes.below(9) {
        0 => events[at]["kind"] = bytes.pick(&kinds).copied().unwrap_or_default().into(),
        1 => events[at]["call"] = Value::Null,
        2 => events[at]["call"] = bytes.number().into(),
        3 => events[at]["name"] = bytes.pick(&names).copied().unwrap_or_default().into(),
        4 => events[at]["name"] = bytes.text().into(),
        5 => events[at]["at"] = bytes.number().into(),
        6 => events[at]["payload"] = value(bytes),
        7 => events[at]["payload"] = events[from]["payload"].clone(),
        _ => events[at]["payload"] = Value::Null,
    }
}

/// What a turn is said to have decided.
fn decisions(file: &mut Value, bytes: &mut Bytes<'_>) {
    let events = file["events"].as_array().map_or(0, Vec::len);
    let turn = bytes.below(events + 1);
    let decided =
        if turn == events { &mut file["decided"] } else { &mut file["events"][turn]["decided"] };
    let Some(calls) = decided.as_array_mut() else {
        *decided = json!([]);
        return;
    };
    let at = bytes.below(calls.len());
    let operation = bytes.below(10);
    if operation < 6 && calls.get(at).is_none_or(|call| !call.is_object()) {
        return;
    }
    match operation {
        0 => drop(calls.remove(at)),
        1 => calls.insert(at, calls[at].clone()),
        2 => calls[at]["call"] = bytes.number().into(),
        3 => calls[at]["hash"] = bytes.text().into(),
        4 => calls[at]["step"] = bytes.text().into(),
        5 => calls[at]["timer"] = value(bytes),
        6 => calls.push(json!({ "patched": bytes.text() })),
        7 => calls.push(json!({ "build": bytes.text() })),
        8 => calls.push(value(bytes)),
        _ => *decided = Value::Null,
    }
}

/// Any value: of the forms that are stored, and others.
fn value(bytes: &mut Bytes<'_>) -> Value {
    match bytes.below(11) {
        0 => Value::Null,
        1 => bytes.number().into(),
        2 => bytes.text().into(),
        3 => json!({ "ok": bytes.number() }),
        4 => json!({ "ok": { "number": bytes.number(), "lines": [bytes.text()] } }),
        5 => json!({ "err": { "kind": bytes.text(), "message": bytes.text() } }),
        6 => json!({ "failure": { "kind": bytes.text(), "message": bytes.text() } }),
        7 => json!([bytes.number(), { "b": 1, "a": bytes.text() }]),
        8 => "x".repeat(bytes.below(64) << 8).into(),
        9 => (0..bytes.below(256) << 2).fold(Value::Null, |inner, _| Value::Array(vec![inner])),
        _ => json!({ bytes.text(): bytes.text(), "ok": null }),
    }
}

/// Damages rows as a database may be damaged: texts that are no JSON, numbers
/// out of order.
pub(crate) fn rows(rows: &mut [Row], bytes: &mut Bytes<'_>) {
    for _ in 0..bytes.below(8) {
        let (at, from) = (bytes.below(rows.len()), bytes.below(rows.len()));
        let other = rows.get(from).map_or(0, |row| row.seq);
        let Some(row) = rows.get_mut(at) else { return };
        match bytes.below(8) {
            0 => row.seq = u32::try_from(bytes.number()).unwrap_or(u32::MAX),
            1 => row.seq = other,
            2 => cut(&mut row.payload, bytes),
            3 => cut(&mut row.decided, bytes),
            4 => row.payload = Some(bytes.text()),
            5 => row.decided = Some(bytes.text()),
            6 => row.payload = Some(format!("{{\"ok\":\"{}\"}}", "x".repeat(HUGE))),
            _ => row.decided = Some(nested(bytes)),
        }
    }
}

fn cut(text: &mut Option<String>, bytes: &mut Bytes<'_>) {
    if let Some(text) = text {
        let at = text.floor_char_boundary(bytes.below(text.len()));
        text.truncate(at);
    }
}

/// Brackets without end.
fn nested(bytes: &mut Bytes<'_>) -> String {
    let depth = bytes.below(256) << 8;
    let open = bytes.pick(&["[", "[{\"args\":", "{\"a\":1,\"b\":"]).copied().unwrap_or_default();
    open.repeat(depth)
}
