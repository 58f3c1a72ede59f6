//! Requests and their replies.

use std::sync::Arc;

use super::link::Connection;
use super::{mail, shared};
use crate::clock::Timestamp;
use crate::model::{Asker, CallId, Item, RunId};
use crate::store::unanswered;

macro_rules! sql {
    ($name:literal) => {
        shared(include_str!(concat!("../../../sql/mail/", $name, ".sql")))
    };
}

type Done<T> = Result<T, sqlx::Error>;

/// The runs that wait for what these items answer, also by their ends.
pub(super) async fn askers(connection: &mut Connection, items: &[Item]) -> Done<Vec<i64>> {
    let replies = items.iter().flat_map(|item| item.all_traffic().flat_map(|one| &one.replies));
    let messages: Vec<String> = replies.map(|(message, _)| message.to_string()).collect();
    let ends = items.iter().filter(|item| item.end.is_some() && item.heard > 0);
    let ended: Vec<i64> = ends.map(|item| item.run.0).collect();
    if messages.is_empty() && ended.is_empty() {
        return Ok(Vec::new());
    }
    let text = include_str!("../../../sql/mail/askers.postgres.sql");
    connection.query_scalar(text).bind(messages).bind(ended).fetch_all(&mut **connection).await
}

/// A request is answered, once.
pub(super) async fn answer(
    connection: &mut Connection,
    run: RunId,
    message: &str,
    body: &str,
    at: Timestamp,
) -> Done<()> {
    let answered = connection
        .query_as::<(Option<i64>, Option<i32>)>(sql!("answered"))
        .bind(message.to_owned())
        .bind(run.0);
    let Some((asker, call)) = answered.fetch_optional(&mut **connection).await? else {
        return Ok(());
    };
    let call = call.map(|call| u32::try_from(call).unwrap_or(u32::MAX));
    let (body, at) = (body.replace('\0', "\u{FFFD}"), at.as_millis());
    match Asker::from_columns(asker, call) {
        Asker::Client => {
            let reply = connection.query(sql!("reply_to_client")).bind(message.to_owned());
            reply.bind(run.0).bind(body).bind(at).execute(&mut **connection).await?;
        }
        Asker::Call(asker, CallId(call)) => {
            if !mail::takes_mail(connection, asker.0).await? {
                return Ok(());
            }
            let call = i32::try_from(call).unwrap_or(i32::MAX);
            let reply = connection
                .query(sql!("reply_to_run"))
                .bind(asker.0)
                .bind(format!("reply-{message}"))
                .bind(call)
                .bind(body)
                .bind(at);
            if reply.execute(&mut **connection).await?.rows_affected() > 0 {
                mail::wake(connection, asker.0, at).await?;
            }
        }
    }
    Ok(())
}

/// What was asked of a run that ended is answered with that.
pub(super) async fn leave_unanswered(
    connection: &mut Connection,
    run: RunId,
    at: Timestamp,
) -> Done<()> {
    let open = connection.query_scalar::<String>(sql!("unanswered")).bind(run.0);
    for message in open.fetch_all(&mut **connection).await? {
        answer(connection, run, &message, &unanswered(), at).await?;
    }
    Ok(())
}

pub(super) async fn read(connection: &mut Connection, message: String) -> Done<Option<Arc<str>>> {
    let reply = connection.query_scalar::<String>(sql!("reply")).bind(message);
    Ok(reply.fetch_optional(&mut **connection).await?.map(Into::into))
}

pub(super) async fn forget(connection: &mut Connection, message: String) -> Done<()> {
    let read = connection.query(sql!("reply_read")).bind(message);
    read.execute(&mut **connection).await.map(drop)
}
