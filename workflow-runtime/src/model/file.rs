//! A history in a file: what a build wrote, replayed by every later one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

#[cfg(feature = "testing")]
use super::{CallId, End, Ended, EventKind, RunId, RunRecord, WriterId};
use super::{Event, StoredRun};
use crate::clock::Timestamp;

/// The version of the format.
const FORMAT: u32 = 1;

/// A history as it stands in a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HistoryFile {
    format: u32,
    workflow: String,
    id: String,
    run: i64,
    seed: i64,
    created: Timestamp,
    args: Box<RawValue>,
    meta: Option<Box<RawValue>>,
    decided: Option<Box<RawValue>>,
    events: Vec<FileEvent>,
    end: Option<FileEnd>,
    /// Fields whose values were taken out: arguments cannot be compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    redacted: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct FileEvent {
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    call: Option<u32>,
    name: String,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    payload: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    decided: Option<Box<RawValue>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct FileEnd {
    how: String,
    at: Timestamp,
    output: Box<RawValue>,
}

type Json = Option<Box<RawValue>>;

fn json(text: &str) -> Result<Box<RawValue>, String> {
    RawValue::from_string(text.to_owned()).map_err(|error| error.to_string())
}

fn maybe(text: Option<&Arc<str>>) -> Result<Json, String> {
    text.map(|text| json(text)).transpose()
}

#[cfg(feature = "testing")]
fn text(json: &Json) -> Option<Arc<str>> {
    json.as_ref().map(|json| json.get().into())
}

impl HistoryFile {
    /// Reads the text of a file.
    #[cfg(feature = "testing")]
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("this is no history file: {error}"))
    }

    pub(crate) fn to_text(&self) -> Result<String, String> {
        serde_json::to_string_pretty(self).map_err(|error| error.to_string())
    }

    /// Takes the values of those fields out of everything that users wrote.
    pub(crate) fn redact(&mut self, fields: &[String]) -> Result<(), String> {
        if fields.is_empty() {
            return Ok(());
        }
        self.redacted = fields.to_vec();
        let Self { args, meta, decided, events, end, .. } = self;
        let events = events.iter_mut().flat_map(|event| [&mut event.payload, &mut event.decided]);
        let values = [meta, decided].into_iter().chain(events).flatten();
        for json in values.chain([args]).chain(end.iter_mut().map(|end| &mut end.output)) {
            let mut value: Value =
                serde_json::from_str(json.get()).map_err(|error| error.to_string())?;
            match value.as_array_mut().filter(|list| list.iter().any(is_decision)) {
                Some(decisions) => decisions.iter_mut().for_each(|one| strip(one, fields)),
                None => redact(&mut value, fields),
            }
            *json = self::json(&value.to_string())?;
        }
        Ok(())
    }

    pub(crate) fn of(stored: &StoredRun) -> Result<Self, String> {
        let StoredRun { record, history, .. } = stored;
        let event = |event: &Event| {
            Ok(FileEvent {
                kind: event.kind.as_str().to_owned(),
                call: event.call.map(|call| call.0),
                name: event.name.to_string(),
                at: event.at,
                payload: maybe(event.payload.as_ref())?,
                decided: maybe(event.decided.as_ref())?,
            })
        };
        let end = record.end.as_ref().map(|end| {
            Ok::<_, String>(FileEnd {
                how: end.how.status().as_str().to_owned(),
                at: end.at,
                output: json(&end.output)?,
            })
        });
        Ok(Self {
            format: FORMAT,
            workflow: record.workflow.to_string(),
            id: record.id.to_string(),
            run: record.run.0,
            seed: record.seed,
            created: record.created,
            args: json(&record.args)?,
            meta: maybe(record.meta.as_ref())?,
            decided: maybe(record.decided.as_ref())?,
            events: history.iter().map(event).collect::<Result<_, String>>()?,
            end: end.transpose()?,
            redacted: Vec::new(),
        })
    }

    #[cfg(feature = "testing")]
    pub(crate) fn into_parts(self) -> Result<(RunRecord, Vec<Event>), String> {
        if self.format != FORMAT {
            let found = self.format;
            return Err(format!("its format is {found}, and this version reads {FORMAT}"));
        }
        let event = |(seq, event): (u32, &FileEvent)| {
            let kind = EventKind::parse(&event.kind);
            Ok(Event {
                seq,
                kind: kind.ok_or_else(|| format!("event {seq} is of no known kind"))?,
                call: event.call.map(CallId),
                name: event.name.clone().into(),
                payload: text(&event.payload),
                decided: text(&event.decided),
                writer: WriterId(1),
                at: event.at,
            })
        };
        let events = (1..).zip(&self.events).map(event).collect::<Result<_, String>>()?;
        let end = self.end.map(|end| {
            let how = Ended::ALL.into_iter().find(|how| how.status().as_str() == end.how);
            let how = how.ok_or("its end is of no known kind")?;
            Ok::<_, String>(End { how, output: end.output.get().into(), at: end.at })
        });
        let record = RunRecord {
            parent: None,
            generation: 1,
            run: RunId(self.run),
            workflow: self.workflow.into(),
            id: self.id.into(),
            args: self.args.get().into(),
            seed: self.seed,
            decided: text(&self.decided),
            meta: text(&self.meta),
            created: self.created,
            end: end.transpose()?,
            open: None,
        };
        Ok((record, events))
    }
}

/// Whether that field is one of those; `card*` stands for all that begin so.
fn is_one_of(fields: &[String], name: &str) -> bool {
    fields.iter().any(|field| match field.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => field == name,
    })
}

fn redact(value: &mut Value, fields: &[String]) {
    match value {
        Value::Object(object) => {
            for (name, value) in object.iter_mut() {
                if is_one_of(fields, name) { blank(value) } else { redact(value, fields) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redact(item, fields)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A value of the same type that says nothing.
fn blank(value: &mut Value) {
    match value {
        Value::Null => {}
        Value::Bool(value) => *value = false,
        Value::Number(value) => *value = 0.into(),
        Value::String(text) => "redacted".clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(blank),
        Value::Object(object) => object.values_mut().for_each(blank),
    }
}

fn is_decision(value: &Value) -> bool {
    value.get("call").is_some() && (value.get("step").is_some() || value.get("timer").is_some())
}

/// A decision without its fingerprint: a hash of a short secret tells it.
fn strip(decision: &mut Value, fields: &[String]) {
    let Some(decision) = decision.as_object_mut() else { return };
    if let Some(args) = decision.get_mut("args") {
        redact(args, fields);
    }
    decision.remove("hash");
}
