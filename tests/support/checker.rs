//! One checker for every test in which something goes wrong: it reads what the
//! database has and what the world saw.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sqlx::Row as _;

use crate::order::{Recorded, check, check_recorded};
use crate::schema::Schema;

/// What was acknowledged to whoever started runs.
#[derive(Clone, Debug, Default)]
pub struct Acknowledged {
    /// Workflow ids of starts.
    pub starts: BTreeSet<String>,
    /// Results by workflow id.
    pub results: BTreeMap<String, String>,
}

/// What must not be, by the words in which it is reported, as queries that give
/// what is wrong.
const NEVER: [(&str, &str); 6] = [
    (
        "a history has gaps",
        "select run::text from history group by run having count(*) <> max(seq) or min(seq) <> 1",
    ),
    (
        "a run has ended and is open, or neither",
        "select runs.id::text from runs full join active on active.run = runs.id \
         where runs.id is null or (runs.status = 0) <> (active.run is not null)",
    ),
    (
        "nobody knows who holds a run",
        "select active.run::text from active left join workers on workers.writer = active.owner \
         where active.owner is not null and workers.writer is null",
    ),
    (
        "an attempt of a call that is recorded is left over",
        "select run::text from attempts where run not in (select run from active)",
    ),
    (
        "somebody who was declared dead holds a run",
        "select active.run::text from active join workers on workers.writer = active.owner \
         where not workers.live",
    ),
    (
        "a workflow id has two runs",
        "select workflow_id from runs group by workflow_id having count(*) > 1",
    ),
];

/// Checks what the database has against what must be, what was acknowledged,
/// and the ledger of effects. Every order that was started has ended. Returns
/// how many.
///
/// # Panics
///
/// Something was lost, doubled, or made up.
pub async fn check_orders(schema: &Schema, ledger: &Path, acknowledged: &Acknowledged) -> usize {
    let (ended, orders) = read(schema).await;
    for id in &acknowledged.starts {
        assert!(ended.contains_key(id), "the start of {id} was acknowledged and is lost");
    }
    for (id, result) in &acknowledged.results {
        assert_eq!(ended.get(id), Some(result), "the result of {id} was told and is another");
    }
    check(&crate::lines(ledger), &orders);
    orders.len()
}

/// The same where the database forgot some of what it had acknowledged: what it
/// has is of one piece, each effect built on the one before it. Returns how many
/// orders there are.
///
/// # Panics
///
/// A history was forked.
pub async fn check_no_fork(schema: &Schema, ledger: &Path) -> usize {
    let (_, orders) = read(schema).await;
    check_recorded(&crate::lines(ledger), &orders);
    orders.len()
}

/// The results of orders, and what is recorded of them.
#[expect(clippy::expect_used, reason = "a check that cannot be made has failed")]
async fn read(schema: &Schema) -> (BTreeMap<String, String>, BTreeMap<String, Recorded>) {
    let mut sql = schema.sql().await;
    for (what, query) in NEVER {
        let found = sqlx::query_scalar::<_, String>(query).fetch_all(&mut sql).await;
        let found = found.expect("an answer");
        assert!(found.is_empty(), "{what}: {found:?}");
    }
    let rows = sqlx::query("select workflow_id, status, output from runs where workflow = 'order'");
    let mut ended = BTreeMap::new();
    for row in rows.fetch_all(&mut sql).await.expect("an answer") {
        let (id, status): (String, i16) = (row.get("workflow_id"), row.get("status"));
        assert_eq!(status, 1, "{id} did not complete");
        ended.insert(id, plain(&row.get::<String, _>("output")));
    }
    let steps = "select workflow_id, payload from history join runs on runs.id = run \
                 where kind = 'step' and workflow = 'order' order by run, seq";
    let mut orders: BTreeMap<String, Recorded> = BTreeMap::new();
    for row in sqlx::query(steps).fetch_all(&mut sql).await.expect("an answer") {
        let of: String = row.get("workflow_id");
        orders.entry(of).or_default().push(plain(&row.get::<String, _>("payload")));
    }
    assert_eq!(orders.len(), ended.len(), "an order has no steps");
    (ended, orders)
}

/// The text of a result.
fn plain(stored: &str) -> String {
    stored.trim_start_matches("{\"ok\":\"").trim_end_matches("\"}").to_owned()
}
