//! The bare protocol limit: what SQLite gives when nothing but a group-commit
//! loop stands before it. Each workflow is a start, its results and an end,
//! each awaited until durable before the next. Blind inserts with ordered text
//! keys: an upper bound.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};

use crate::ours::{fail, median, now, pause};
use crate::{Workload, clean};

const TABLES: &str = "
create table if not exists wf(id text primary key, name text not null, status int not null, \
                      input text, output text, created int, updated int) without rowid;
create table if not exists ck(wf text not null, seq int not null, name text not null, \
                      output text, started int, ended int, primary key(wf, seq)) without rowid;";

/// Largest batch.
pub(crate) const MAX_BATCH: usize = 4096;
const STEPS: i32 = 1_000;

pub(crate) enum Write {
    Start(Arc<str>),
    Checkpoint(Arc<str>, i32, String),
    Finish(Arc<str>, String),
}

pub(crate) struct Request {
    pub(crate) write: Write,
    pub(crate) done: oneshot::Sender<()>,
}

pub(crate) type Queue = mpsc::UnboundedSender<Request>;

fn open(path: &Path, full: bool) -> rusqlite::Result<Connection> {
    clean(path);
    let connection = Connection::open(path)?;
    let sync = if full { "FULL" } else { "NORMAL" };
    connection.execute_batch(&format!(
        "pragma journal_mode=wal; pragma synchronous={sync}; pragma cache_size=-65536;"
    ))?;
    connection.execute_batch(TABLES)?;
    Ok(connection)
}

/// Takes whatever is queued, commits it, answers.
fn writer(
    connection: &Connection,
    mut queue: mpsc::UnboundedReceiver<Request>,
) -> rusqlite::Result<()> {
    let mut start = connection.prepare(
        "insert into wf(id,name,status,input,created,updated) values(?,'order',0,?,?,?)",
    )?;
    let mut checkpoint = connection.prepare("insert into ck values(?,?,?,?,?,?)")?;
    let mut finish =
        connection.prepare("update wf set status=1, output=?2, updated=?3 where id=?1")?;
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while queue.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
        connection.execute_batch("begin immediate")?;
        let now = wall().as_millis() as i64;
        for Request { write, .. } in &batch {
            match write {
                Write::Start(id) => start.execute(params![&**id, "{\"order\":17}", now, now]),
                Write::Checkpoint(id, seq, output) => {
                    checkpoint.execute(params![&**id, seq, "charge_card", output, now, now])
                }
                Write::Finish(id, output) => finish.execute(params![&**id, output, now]),
            }?;
        }
        connection.execute_batch("commit")?;
        for request in batch.drain(..) {
            // Who asked may be gone at the end of the time.
            let _gone = request.done.send(());
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the machine's clock")]
pub(crate) fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

async fn put(queue: &Queue, write: Write) {
    let (done, is_done) = oneshot::channel();
    let sent = queue.send(Request { write, done }).is_ok();
    if !sent || is_done.await.is_err() {
        fail("the writer of the limit is gone");
    }
}

/// Ordered ids of 36 characters, as a `UUIDv7` has them.
fn next_id() -> Arc<str> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{:012x}-{:04x}-7{}", wall().as_millis(), n & 0xffff, &random[..17]).into()
}

async fn checkpoint(queue: &Queue, id: &Arc<str>, seq: i32) -> i64 {
    let value = i64::from(seq) + 1;
    put(queue, Write::Checkpoint(Arc::clone(id), seq, value.to_string())).await;
    value
}

async fn one(queue: &Queue, steps: i32, parallel: bool) {
    let id = next_id();
    put(queue, Write::Start(Arc::clone(&id))).await;
    let sum: i64 = if parallel {
        join_all((0..steps).map(|seq| checkpoint(queue, &id, seq))).await.into_iter().sum()
    } else {
        let mut sum = 0;
        for seq in 0..steps {
            sum += checkpoint(queue, &id, seq).await;
        }
        sum
    };
    put(queue, Write::Finish(id, sum.to_string())).await;
}

pub(crate) fn measure(
    workload: Workload,
    path: &Path,
    full: bool,
    time: Duration,
    gap: Duration,
) -> f64 {
    let connection = open(path, full).unwrap_or_else(|error| fail(&error.to_string()));
    let (queue, requests) = mpsc::unbounded_channel();
    let writer = std::thread::spawn(move || writer(&connection, requests));
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let tokio = tokio.unwrap_or_else(|error| fail(&error.to_string()));
    let value = tokio.block_on(drive(workload, &queue, time, gap));
    drop(queue);
    match writer.join() {
        Ok(Ok(())) => value,
        Ok(Err(error)) => fail(&error.to_string()),
        Err(_) => fail("the writer of the limit panicked"),
    }
}

/// The figure of a workload on whatever takes from the queue.
pub(crate) async fn drive(workload: Workload, queue: &Queue, time: Duration, gap: Duration) -> f64 {
    match workload {
        Workload::W1(in_flight) => throughput(queue, time, in_flight).await,
        Workload::W3 => latency(queue, time, gap).await,
        Workload::W2 => repeated(queue, time, false).await * 1e6 / f64::from(STEPS),
        Workload::W6 => repeated(queue, time, true).await * 1e3,
    }
}

/// Milliseconds of a workflow of one step, on an idle system.
async fn latency(queue: &Queue, time: Duration, gap: Duration) -> f64 {
    let (begun, mut runs) = (now(), Vec::new());
    while begun.elapsed() < time {
        pause(gap).await;
        let run = now();
        one(queue, 1, false).await;
        runs.push(run.elapsed().as_secs_f64() * 1e3);
    }
    median(&mut runs)
}

async fn throughput(queue: &Queue, time: Duration, in_flight: usize) -> f64 {
    let begun = now();
    let clients = (0..in_flight).map(|_| {
        let queue = queue.clone();
        tokio::spawn(async move {
            let mut done = 0_u32;
            while begun.elapsed() < time {
                one(&queue, 3, false).await;
                done += 1;
            }
            done
        })
    });
    let mut done = 0;
    for client in clients.collect::<Vec<_>>() {
        done += client.await.unwrap_or_else(|error| fail(&error.to_string()));
    }
    f64::from(done) / begun.elapsed().as_secs_f64()
}

/// Seconds of the median run.
async fn repeated(queue: &Queue, time: Duration, parallel: bool) -> f64 {
    let (begun, mut runs) = (now(), Vec::new());
    while begun.elapsed() < time || runs.is_empty() {
        let started = now();
        one(queue, STEPS, parallel).await;
        runs.push(started.elapsed().as_secs_f64());
    }
    median(&mut runs)
}
