//! The check of a database: of a builder, and as a program.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use super::builder::Use;
use super::{Builder, Runtime};
use crate::check::{self, CheckReport, Scope};
use crate::error::Error;

impl Builder {
    /// Replays the open runs of the database with the workflows of this program,
    /// and says with which of them it could not go on. Starts nothing and writes
    /// nothing: the database may be in use, and its schema is left as it is. For
    /// a test of its own, or [a small program](crate::check_command), before a
    /// deploy.
    ///
    /// ```no_run
    /// # use workflow_runtime::Runtime;
    /// # async fn example() -> Result<(), workflow_runtime::Error> {
    /// let report = Runtime::builder("postgres://reader@db/shop").check().await?;
    /// assert!(report.is_good(), "{report}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration): a URL of no known store, a database that is
    /// not there, or one whose schema is older or newer than this build's.
    /// [`Unavailable`](crate::ErrorKind::Unavailable): the store did not answer.
    pub async fn check(self) -> Result<CheckReport, Error> {
        self.check_some(Scope::default()).await
    }

    async fn check_some(self, scope: Scope) -> Result<CheckReport, Error> {
        let registry = self.registry()?;
        let store = self.open(Use::Look, &Arc::default()).await?;
        let (limits, build) = (self.settings.limits, Arc::clone(&self.settings.build));
        let scope = Scope { strict: scope.strict || self.settings.strict_arguments, ..scope };
        let report = check::check(Arc::clone(&store), &registry, limits, &build, scope).await;
        store.close().await;
        report
    }
}

const USAGE: &str = "\
usage: <program> <url> [--workflow <name>].. [--limit <runs>] [--schema <name>] [--strict]
Replays the open runs of a database with the workflows of this program. Starts nothing, writes nothing.
exit code: 0 this build can go on with all of them, 1 not with all, 2 it could not be checked";

/// The whole of a program that checks a database before a deploy: give it the
/// arguments, return its exit code. It has the workflows of the crates that it is
/// linked with.
///
/// ```no_run
/// # use std::process::ExitCode;
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> ExitCode {
///     // use my_shop as _;
///     workflow_runtime::check_command(std::env::args().skip(1)).await
/// }
/// ```
///
/// The report goes to the standard output, errors to that for errors.
/// `--workflow` can be given several times; `--strict` is
/// [`strict_arguments`](Builder::strict_arguments).
///
/// Exit code 0: this build can go on with all open runs. 1: not with all. 2: the
/// database could not be checked.
pub async fn check_command(args: impl IntoIterator<Item = String>) -> ExitCode {
    let checked = match parse(args) {
        Ok(options) => run(options).await.map_err(|error| error.to_string()),
        Err(fault) => Err(format!("{fault}\n{USAGE}")),
    };
    // Who closed the other end does not want to know.
    match checked {
        Ok(report) => {
            let _gone = write!(io::stdout().lock(), "{report}");
            ExitCode::from(u8::from(!report.is_good()))
        }
        Err(message) => {
            let _gone = writeln!(io::stderr().lock(), "{message}");
            ExitCode::from(2)
        }
    }
}

#[derive(Debug, Default, Eq, PartialEq)]
struct Options {
    url: String,
    workflows: Vec<String>,
    limit: Option<usize>,
    schema: Option<String>,
    strict: bool,
}

async fn run(options: Options) -> Result<CheckReport, Error> {
    let mut builder = Runtime::builder(options.url);
    if let Some(schema) = options.schema {
        builder = builder.schema(schema);
    }
    let (workflows, limit, strict) = (options.workflows, options.limit, options.strict);
    let scope = Scope { workflows, limit, strict, waiting: false };
    builder.check_some(scope).await
}

fn parse(args: impl IntoIterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("`{arg}` needs a value"));
        match arg.as_str() {
            "--workflow" => options.workflows.push(value()?),
            "--strict" => options.strict = true,
            "--schema" => options.schema = Some(value()?),
            "--limit" => {
                let text = value()?;
                let limit = text.parse().map_err(|_| format!("`{text}` is no number of runs"))?;
                options.limit = Some(limit);
            }
            other if other.starts_with('-') => return Err(format!("`{other}` is not known")),
            other if options.url.is_empty() => options.url = other.to_owned(),
            other => return Err(format!("`{other}` is one argument too many")),
        }
    }
    if options.url.is_empty() { Err("which database?".to_owned()) } else { Ok(options) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read_and_faults_named() {
        let expected = Options {
            url: "sqlite://shop.db".to_owned(),
            workflows: vec!["pay".to_owned(), "ship".to_owned()],
            limit: Some(20),
            schema: None,
            strict: true,
        };
        let line = "--workflow pay sqlite://shop.db --limit 20 --workflow ship --strict";
        assert_eq!(parsed(line).unwrap(), expected);
        for (line, fault) in [
            ("", "which database?"),
            ("a b", "`b` is one argument too many"),
            ("a --limit x", "`x` is no number of runs"),
            ("a --limit", "`--limit` needs a value"),
            ("a --fast", "`--fast` is not known"),
        ] {
            assert_eq!(parsed(line).unwrap_err(), fault, "{line}");
        }
    }
}
