//! Lists of runs and of dead letters, a page at a time.

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::link::Connection;
use super::read::time;
use crate::clock::Timestamp;
use crate::model::{DeadLetter, RunQuery, RunSummary, Status, read_meta};
use crate::store::after_prefix;

const RUNS: &str = include_str!("../../../sql/list/runs.postgres.sql");
const STATUS: &str = include_str!("../../../sql/list/status.sql");

/// The text for a query: what is rarest comes first.
fn text(of: &RunQuery) -> String {
    let all =
        |wanted: fn(&Status) -> bool| !of.statuses.is_empty() && of.statuses.iter().all(wanted);
    let first = if all(|status| !status.is_ended()) {
        "runs.id in (select run from active)"
    } else if all(|status| status.is_failure()) {
        "runs.id in (select run from failures)"
    } else {
        "true"
    };
    RUNS.replace("{status}", STATUS.trim_end()).replace("{first}", first)
}

pub(super) async fn runs(
    connection: &mut Connection,
    of: RunQuery,
) -> Result<Vec<RunSummary>, sqlx::Error> {
    let statuses: Vec<&str> = of.statuses.iter().map(|status| status.as_str()).collect();
    let meta = (!of.meta.is_empty()).then(|| serde_json::to_string(&of.meta).unwrap_or_default());
    let prefix = of.id_prefix.as_deref();
    let rows = connection
        .query(AssertSqlSafe(text(&of)))
        .bind(of.after)
        .bind((!of.workflows.is_empty()).then(|| of.workflows.clone()))
        .bind(prefix)
        .bind(prefix.and_then(after_prefix))
        .bind(of.from.map(Timestamp::as_millis))
        .bind(of.before.map(Timestamp::as_millis))
        .bind((!statuses.is_empty()).then_some(statuses))
        .bind(meta)
        .bind(i64::from(of.limit))
        .fetch_all(&mut **connection)
        .await?;
    rows.iter().map(summary).collect()
}

fn summary(row: &PgRow) -> Result<RunSummary, sqlx::Error> {
    let state: String = row.try_get("state")?;
    let meta: Option<String> = row.try_get("meta")?;
    let ended: Option<i64> = row.try_get("ended")?;
    Ok(RunSummary {
        run: row.try_get("id")?,
        id: row.try_get("workflow_id")?,
        workflow: row.try_get("workflow")?,
        status: Status::parse(&state).unwrap_or(Status::Queued),
        started: time(row, "created")?,
        ended: ended.map(Timestamp::from_millis),
        meta: read_meta(meta.as_deref()),
    })
}

pub(super) async fn dead_letters(
    connection: &mut Connection,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<DeadLetter>, sqlx::Error> {
    let text = super::shared(include_str!("../../../sql/query/dead_letters.sql"));
    let query = connection.query(text).bind(after).bind(i64::from(limit));
    let letter = |row: &PgRow| {
        Ok(DeadLetter {
            number: row.try_get("id")?,
            id: row.try_get("workflow_id")?,
            workflow: row.try_get("workflow")?,
            kind: row.try_get("kind")?,
            reason: row.try_get("reason")?,
            body: row.try_get("body")?,
            at: time(row, "at")?,
        })
    };
    query.fetch_all(&mut **connection).await?.iter().map(letter).collect()
}
