//! Lists of runs and of dead letters, a page at a time.

use rusqlite::{Connection, Row, params};

use super::read::time;
use crate::clock::Timestamp;
use crate::model::{DeadLetter, RunQuery, RunSummary, Status, read_meta};
use crate::store::after_prefix;

const RUNS: &str = include_str!("../../../sql/list/runs.sql");
const STATUS: &str = include_str!("../../../sql/list/status.sql");
const DEAD_LETTERS: &str = include_str!("../../../sql/query/dead_letters.sql");

/// The text for a query: what is rarest comes first, so that SQLite does not
/// walk over a million completed runs to find three that failed.
pub(super) fn text(of: &RunQuery) -> String {
    let all =
        |wanted: fn(&Status) -> bool| !of.statuses.is_empty() && of.statuses.iter().all(wanted);
    let first = if of.id_prefix.is_some() {
        "workflow_id >= ?3 and (?4 is null or workflow_id < ?4)"
    } else if all(|status| !status.is_ended()) {
        "runs.id in (select run from active)"
    } else if all(|status| status.is_ended() && *status != Status::Completed) {
        "runs.status > 1"
    } else {
        "true"
    };
    RUNS.replace("{status}", STATUS.trim_end()).replace("{first}", first)
}

pub(super) fn runs(connection: &Connection, of: &RunQuery) -> rusqlite::Result<Vec<RunSummary>> {
    let json = |list: &[&str]| serde_json::to_string(list).unwrap_or_default();
    let workflows: Vec<&str> = of.workflows.iter().map(String::as_str).collect();
    let statuses: Vec<&str> = of.statuses.iter().map(|status| status.as_str()).collect();
    let some = |list: &[&str]| (!list.is_empty()).then(|| json(list));
    let meta = (!of.meta.is_empty()).then(|| serde_json::to_string(&of.meta).unwrap_or_default());
    let prefix = of.id_prefix.as_deref();
    let mut query = connection.prepare_cached(&text(of))?;
    let rows = query.query_map(
        params![
            of.after,
            some(&workflows),
            prefix,
            prefix.and_then(after_prefix),
            of.from.map(Timestamp::as_millis),
            of.before.map(Timestamp::as_millis),
            some(&statuses),
            meta,
            of.limit,
        ],
        summary,
    )?;
    rows.collect()
}

fn summary(row: &Row<'_>) -> rusqlite::Result<RunSummary> {
    let state: String = row.get("state")?;
    let meta: Option<String> = row.get("meta")?;
    let ended: Option<i64> = row.get("ended")?;
    Ok(RunSummary {
        run: row.get("id")?,
        id: row.get("workflow_id")?,
        workflow: row.get("workflow")?,
        status: Status::parse(&state).unwrap_or(Status::Queued),
        started: time(row, "created")?,
        ended: ended.map(Timestamp::from_millis),
        meta: read_meta(meta.as_deref()),
    })
}

pub(super) fn dead_letters(
    connection: &Connection,
    after: Option<i64>,
    limit: u32,
) -> rusqlite::Result<Vec<DeadLetter>> {
    let mut query = connection.prepare_cached(DEAD_LETTERS)?;
    let rows = query.query_map(params![after, limit], |row| {
        Ok(DeadLetter {
            number: row.get("id")?,
            id: row.get("workflow_id")?,
            workflow: row.get("workflow")?,
            kind: row.get("kind")?,
            reason: row.get("reason")?,
            body: row.get("body")?,
            at: time(row, "at")?,
        })
    })?;
    rows.collect()
}
