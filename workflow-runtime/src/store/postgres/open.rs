//! Opening a database: its version, its schema.

use sqlx::{AssertSqlSafe, Executor as _};

use super::link::Connection;
use crate::error::{Error, ErrorKind};

/// Each script brings the schema one version further.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../sql/migrations/0001_init.postgres.sql"),
    include_str!("../../../sql/migrations/0002_generations.postgres.sql"),
    include_str!("../../../sql/migrations/0003_mail.postgres.sql"),
];

/// A schema's name, as it can stand in a statement.
pub(super) fn check_schema(name: &str) -> Result<(), Error> {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
    let rest = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if first && rest && name.len() <= 48 && !name.starts_with("pg_") {
        return Ok(());
    }
    let message = format!(
        "`{name}` is no name for a schema: write up to 48 of a-z, 0-9 and _, beginning with a \
         letter or _, and not with `pg_`"
    );
    Err(Error::new(ErrorKind::Configuration, message))
}

/// The version of the schema that this build makes.
pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Brings the schema up to date. Any number of processes may do so at once: one
/// does it, the others wait and find it done. Killed in the middle, nothing is
/// done.
pub(super) async fn migrate(
    connection: &mut Connection,
    schema: String,
    read_only: bool,
) -> Result<Result<(), Error>, sqlx::Error> {
    let known = known();
    // Held by the transaction: it goes with the process.
    let lock = format!("select pg_advisory_xact_lock(hashtextextended('workflow:{schema}', 0))");
    connection.execute(AssertSqlSafe(lock)).await?;
    let exists = "select exists (select 1 from pg_class join pg_namespace on pg_namespace.oid = \
                  relnamespace where nspname = $1 and relname = 'counters')";
    let exists: bool =
        connection.query_scalar(exists).bind(&schema).fetch_one(&mut **connection).await?;
    let found = if exists { version(connection).await? } else { 0 };
    if found > known {
        return Ok(Err(newer(found, known)));
    }
    if found < known && read_only {
        let message = format!(
            "schema `{schema}` has version {found} and this build knows {known}: it is read by a \
             build of its own version only"
        );
        return Ok(Err(Error::new(ErrorKind::Configuration, message)));
    }
    if found < known {
        connection.execute(AssertSqlSafe(script(&schema, found))).await?;
    }
    Ok(Ok(()))
}

fn newer(found: i64, known: i64) -> Error {
    let message = format!(
        "the database has schema version {found} and this build knows {known}: a newer build \
         wrote it. Run that build, or one newer still"
    );
    Error::new(ErrorKind::Configuration, message)
}

async fn version(connection: &mut Connection) -> Result<i64, sqlx::Error> {
    let found = connection.query_scalar(include_str!("../../../sql/query/version.postgres.sql"));
    Ok(found.fetch_optional(&mut **connection).await?.unwrap_or(0))
}

/// What brings a schema of that version up to date; from 0, what makes it.
pub(crate) fn script(schema: &str, from: i64) -> String {
    let mut script =
        format!("create schema if not exists {schema};\nset local search_path to {schema};\n\n");
    for migration in MIGRATIONS.iter().skip(usize::try_from(from).unwrap_or(0)) {
        script.push_str(migration);
        script.push('\n');
    }
    let version = include_str!("../../../sql/migrations/version.postgres.sql");
    script.push_str(&version.replace("{version}", &known().to_string()));
    script
}
