//! A file that already holds finished runs.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use crate::options::Options;
use crate::ours::{blocking, fail, url};

/// A file with as many finished runs as asked for, of three steps each.
pub(crate) fn template(options: &Options) -> std::io::Result<Option<PathBuf>> {
    if options.finished == 0 {
        return Ok(None);
    }
    let path = options.folder.join(format!("finished-{}.db", options.finished));
    if !path.exists() {
        eprintln!("{} finished runs are written to {}", options.finished, path.display());
        // Under its name only when it is whole: it is used again.
        let part = path.with_extension("part.db");
        crate::clean(&part);
        blocking(async {
            let runtime = workflow_runtime::Runtime::builder(url(&part)).build().await?;
            Ok(runtime.shutdown().await?)
        });
        fill(&part, options.finished).unwrap_or_else(|error| fail(&error.to_string()));
        std::fs::rename(&part, &path)?;
        crate::clean(&part);
    }
    Ok(Some(path))
}

fn fill(path: &Path, count: u64) -> rusqlite::Result<()> {
    let mut connection = Connection::open(path)?;
    let transaction = connection.transaction()?;
    {
        let mut run = transaction.prepare(
            "insert into runs (id, workflow, workflow_id, args, seed, decided, writer, created, \
             status, output, ended) values (?1, 'checkout', ?2, ?3, ?1, '[]', 1, ?4, 1, ?5, ?4)",
        )?;
        let mut event = transaction.prepare(
            "insert into history (run, seq, kind, call, name, payload, decided, writer, at) \
             values (?1, ?2, 'step', ?2 - 1, 'charge_card', ?3, ?4, 1, ?5)",
        )?;
        let now = crate::limit::wall().as_millis() as i64;
        let decided = r#"[{"call":1,"step":"charge_card","hash":"00c0ffee00c0ffee","args":[{"id":1,"sku":"espresso","amount":250}]}]"#;
        for n in 1..=count as i64 {
            let id = format!("{:08x}-0000-7000-8000-{n:012x}", n >> 16);
            let args = r#"[{"id":1,"sku":"espresso","amount":250}]"#;
            run.execute(params![n, id, args, now, r#"{"ok":753}"#])?;
            for seq in 1..=3 {
                event.execute(params![n, seq, r#"{"ok":{"id":1,"amount":251}}"#, decided, now])?;
            }
        }
        transaction.execute("update counters set next = ?1", [count as i64 + 10])?;
        transaction.execute(
            "insert into counters (name, next) values ('runs', ?1) \
             on conflict do update set next = ?1",
            [count as i64 + 10],
        )?;
    }
    transaction.commit()?;
    connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))
}

/// Puts a copy of the template where something is measured.
pub(crate) fn copy(template: Option<&Path>, to: &Path) -> std::io::Result<()> {
    crate::clean(to);
    match template {
        Some(template) => {
            std::fs::copy(template, to)?;
            // Or the copy is written to disk while something is measured.
            std::fs::File::options().write(true).open(to)?.sync_all()
        }
        None => Ok(()),
    }
}
