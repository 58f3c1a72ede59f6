//! One connection, and what is asked of it.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnection, Postgres};
use sqlx::query::{Query, QueryAs, QueryScalar};
use sqlx::{AssertSqlSafe, Executor as _, SqlSafeStr};

use super::fault::is_lost;
use super::{BULK, PATIENCE};

/// What a statement asks of the connection.
pub(super) type Asked<'c, T> = Pin<Box<dyn Future<Output = Result<T, sqlx::Error>> + Send + 'c>>;

/// What it is asked in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shape {
    /// One statement.
    Single,
    /// The same, of a worker that shows that it lives.
    Life,
    /// A transaction.
    Whole,
    /// Reads that see one moment.
    Moment,
    /// A transaction that may touch many rows, and take its time.
    Bulk,
}

const BEGIN: &str = "begin isolation level read committed";

impl Shape {
    /// How long the database has to answer.
    pub(super) fn patience(self) -> Duration {
        if self == Self::Bulk { BULK } else { PATIENCE }
    }

    /// How its transaction begins, if it has to have one.
    fn begin(self) -> Option<&'static str> {
        match self {
            Self::Single | Self::Life => None,
            Self::Whole | Self::Bulk => Some(BEGIN),
            Self::Moment => Some("begin isolation level repeatable read, read only"),
        }
    }

    /// What its transaction is set to, beside what every connection is.
    fn settings(self) -> String {
        if self != Self::Bulk {
            return String::new();
        }
        let millis = BULK.as_millis();
        format!(
            "; set local statement_timeout = {millis}; set local lock_timeout = '60s'; \
             set local idle_in_transaction_session_timeout = '60s'"
        )
    }
}

/// A connection to the server that takes writes.
pub(super) struct Link {
    connection: Connection,
    /// What each transaction says first, where a pooler gives it any connection.
    pooled: Option<String>,
    /// How often a server had fallen silent before it was made.
    made_after: u64,
}

/// A connection on which a query is prepared under a name of its own, unless
/// the next transaction has another one.
pub(super) struct Connection {
    connection: PgConnection,
    keeps_names: bool,
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Connection {
    /// Whether what is prepared stays where it was prepared.
    pub(super) fn keeps_names(&self) -> bool {
        self.keeps_names
    }

    pub(super) fn query(&self, text: impl SqlSafeStr) -> Query<'static, Postgres, PgArguments> {
        sqlx::query(text).persistent(self.keeps_names)
    }

    pub(super) fn query_scalar<T>(
        &self,
        text: impl SqlSafeStr,
    ) -> QueryScalar<'static, Postgres, T, PgArguments>
    where
        (T,): for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        sqlx::query_scalar(text).persistent(self.keeps_names)
    }

    pub(super) fn query_as<T>(
        &self,
        text: impl SqlSafeStr,
    ) -> QueryAs<'static, Postgres, T, PgArguments>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        sqlx::query_as(text).persistent(self.keeps_names)
    }

    async fn say(&mut self, text: impl SqlSafeStr + Send) -> Result<(), sqlx::Error> {
        self.connection.execute(sqlx::raw_sql(text)).await.map(drop)
    }
}

impl Link {
    pub(super) fn new(connection: PgConnection, pooled: Option<String>, made_after: u64) -> Self {
        let keeps_names = pooled.is_none();
        Self { connection: Connection { connection, keeps_names }, pooled, made_after }
    }

    pub(super) fn made_after(&self) -> u64 {
        self.made_after
    }

    /// Asks it. After an error nothing is known of the connection, unless the
    /// database itself gave it.
    ///
    /// # Cancel safety
    ///
    /// None: who gives up drops the link.
    pub(super) async fn ask<T>(
        &mut self,
        shape: Shape,
        ask: impl for<'c> FnOnce(&'c mut Connection) -> Asked<'c, T>,
    ) -> Result<T, sqlx::Error> {
        let connection = &mut self.connection;
        if shape.begin().is_none() && self.pooled.is_none() {
            return ask(connection).await;
        }
        let (begin, local) = (shape.begin().unwrap_or(BEGIN), self.pooled.as_deref());
        let begin = format!("{begin}{}{}", local.unwrap_or_default(), shape.settings());
        connection.say(AssertSqlSafe(begin)).await?;
        match ask(connection).await {
            Ok(answer) => connection.say("commit").await.map(|()| answer),
            Err(error) => {
                if !is_lost(&error) {
                    connection.say("rollback").await?;
                }
                Err(error)
            }
        }
    }
}
