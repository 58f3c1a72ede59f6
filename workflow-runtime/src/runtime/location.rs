//! What a URL names.

use std::path::PathBuf;

use crate::error::{Error, ErrorKind};

/// What a URL names.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Location {
    Memory,
    Sqlite(PathBuf),
    Postgres,
}

impl Location {
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        let refuse = |reason: &str| {
            let message = format!(
                "`{url}` names no store: {reason}; write `sqlite://file.db`, \
                 `postgres://user@host/database` or `memory:`"
            );
            Err(Error::new(ErrorKind::Configuration, message))
        };
        if url == "memory:" {
            return Ok(Self::Memory);
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            return Ok(Self::Postgres);
        }
        let Some(rest) = url.strip_prefix("sqlite:") else {
            return refuse("it begins with neither `sqlite:` nor `postgres:`");
        };
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.is_empty() {
            return refuse("it has no path");
        }
        if path == ":memory:" {
            return refuse("SQLite in memory would be empty after a crash");
        }
        if path.contains('?') {
            return refuse("options are methods of the builder, not part of the URL");
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_store() {
        let sqlite = |path: &str| Location::Sqlite(path.into());
        let good = [
            ("memory:", Location::Memory),
            ("postgres://h/db", Location::Postgres),
            ("postgresql://u@h:1/db?sslmode=verify-full", Location::Postgres),
            ("sqlite://shop.db", sqlite("shop.db")),
            ("sqlite:shop.db", sqlite("shop.db")),
            ("sqlite:///var/lib/shop.db", sqlite("/var/lib/shop.db")),
        ];
        for (url, location) in good {
            assert_eq!(Location::parse(url).unwrap(), location);
        }
    }

    #[test]
    fn a_bad_url_says_what_to_write() {
        for url in ["", "shop.db", "sqlite://", "sqlite::memory:", "sqlite:a?b"] {
            let error = Location::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains("sqlite://file.db"), "{error}");
        }
    }
}
