//! Executes a batch and tells what became of each item.

use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Either, Executor as _};

use super::{Texts, batch, refusal, unavailable};
use crate::error::Error;
use crate::model::{Answer, Item};

/// Commits `items`; answers each.
///
/// # Errors
///
/// Unknown what became of them. The connection may be in a transaction.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    texts: &mut Texts,
    items: &[Item],
) -> Result<Vec<Answer>, Error> {
    let refused: Vec<_> = items.iter().map(refusal).collect();
    if refused.iter().all(Option::is_none) {
        return commit_together(connection, texts, items).await;
    }
    let good = items.iter().zip(&refused).filter(|(_, refused)| refused.is_none());
    let good: Vec<Item> = good.map(|(item, _)| item.clone()).collect();
    let mut answers = commit_together(connection, texts, &good).await?.into_iter();
    // One answer for each good item, in order.
    let answer = |refused: Option<Answer>| refused.or_else(|| answers.next());
    Ok(refused.into_iter().filter_map(answer).collect())
}

async fn commit_together(
    connection: &mut SqliteConnection,
    texts: &mut Texts,
    items: &[Item],
) -> Result<Vec<Answer>, Error> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    match execute(connection, texts, items).await {
        Ok(true) => Ok(vec![Answer::Committed; items.len()]),
        Ok(false) => verify(connection, items).await,
        Err(error) => match fault_of_an_item(&error) {
            None => Err(unavailable(error)),
            Some(reason) => {
                roll_back(connection).await;
                split(connection, texts, items, reason).await
            }
        },
    }
}

/// Some item of the batch can never go in: finds it by halves, so that all the
/// others do.
async fn split(
    connection: &mut SqliteConnection,
    texts: &mut Texts,
    items: &[Item],
    reason: String,
) -> Result<Vec<Answer>, Error> {
    if items.len() == 1 {
        return Ok(vec![Answer::Refused(reason)]);
    }
    let (left, right) = items.split_at(items.len() / 2);
    let mut answers = Box::pin(commit_together(connection, texts, left)).await?;
    answers.extend(Box::pin(commit_together(connection, texts, right)).await?);
    Ok(answers)
}

/// Runs the whole transaction. True: every item is in.
async fn execute(
    connection: &mut SqliteConnection,
    texts: &mut Texts,
    items: &[Item],
) -> Result<bool, sqlx::Error> {
    let batch = batch::build(texts, items).map_err(sqlx::Error::Encode)?;
    let text = AssertSqlSafe(batch.text);
    let mut results = connection.fetch_many(sqlx::query_with(text, batch.arguments));
    let mut done = Vec::with_capacity(batch.statements.len() + 2);
    while let Some(result) = results.try_next().await? {
        if let Either::Left(result) = result {
            done.push(result.rows_affected());
        }
    }
    // The first result is of `begin`.
    let complete = batch
        .statements
        .iter()
        .zip(done.iter().skip(1))
        .all(|((section, rows), changed)| !section.is_counted() || changed == rows);
    Ok(complete && done.len() == batch.statements.len() + 2)
}

/// Whether the error is one item's own, and not the store's: a constraint, a
/// value too large or of the wrong type.
fn fault_of_an_item(error: &sqlx::Error) -> Option<String> {
    if let sqlx::Error::Encode(error) = error {
        return Some(error.to_string());
    }
    let error = error.as_database_error()?;
    let code: i64 = error.code()?.parse().ok()?;
    const TOO_BIG: i64 = 18;
    const CONSTRAINT: i64 = 19;
    const MISMATCH: i64 = 20;
    matches!(code & 0xff, TOO_BIG | CONSTRAINT | MISMATCH).then(|| error.message().to_owned())
}

async fn roll_back(connection: &mut SqliteConnection) {
    // Some errors end the transaction themselves; then there is none to end.
    if let Err(error) = connection.execute("rollback").await {
        tracing::debug!("nothing to roll back: {error}");
    }
}

/// After a batch in which not all went in: what became of each item.
async fn verify(connection: &mut SqliteConnection, items: &[Item]) -> Result<Vec<Answer>, Error> {
    let mut answers = Vec::with_capacity(items.len());
    for item in items {
        answers.push(verify_one(connection, item).await.map_err(unavailable)?);
    }
    Ok(answers)
}

async fn verify_one(connection: &mut SqliteConnection, item: &Item) -> Result<Answer, sqlx::Error> {
    use crate::model::RunId;

    if let Some(start) = &item.start {
        let text = include_str!("../../../sql/query/who_has_id.sql");
        let holder = sqlx::query_scalar::<_, i64>(text).bind(start.id.to_string());
        return Ok(match holder.fetch_optional(connection).await? {
            Some(holder) if holder == item.run.0 => Answer::Committed,
            Some(holder) => Answer::Taken(RunId(holder)),
            None => Answer::Refused(format!("run number {} is used already", item.run)),
        });
    }
    let Some(first) = item.events.first() else { return verify_owner(connection, item).await };
    let text = include_str!("../../../sql/query/who_wrote.sql");
    let writer = sqlx::query_scalar::<_, i64>(text).bind(item.run.0).bind(i64::from(first.seq));
    match writer.fetch_optional(&mut *connection).await? {
        Some(writer) if writer == item.writer.0 => Ok(Answer::Committed),
        Some(_) => Ok(Answer::Conflict),
        None => {
            let text = include_str!("../../../sql/query/is_open.sql");
            let open = sqlx::query_scalar::<_, bool>(text).bind(item.run.0);
            let ended = open.fetch_optional(connection).await? == Some(false);
            Ok(if ended { Answer::Conflict } else { Answer::MissingPredecessor })
        }
    }
}

/// An item without rows goes in where its writer holds the run, or where the
/// run is free: then it was this item that freed it.
async fn verify_owner(
    connection: &mut SqliteConnection,
    item: &Item,
) -> Result<Answer, sqlx::Error> {
    let text = include_str!("../../../sql/query/who_owns.sql");
    let owner = sqlx::query_scalar::<_, Option<i64>>(text).bind(item.run.0);
    match owner.fetch_optional(&mut *connection).await? {
        Some(None) => Ok(Answer::Committed),
        Some(Some(owner)) if owner == item.writer.0 => Ok(Answer::Committed),
        Some(Some(_)) => Ok(Answer::Conflict),
        None => {
            let text = include_str!("../../../sql/query/is_open.sql");
            let known = sqlx::query_scalar::<_, bool>(text).bind(item.run.0);
            let known = known.fetch_optional(connection).await?.is_some();
            Ok(if known { Answer::Conflict } else { Answer::MissingPredecessor })
        }
    }
}
