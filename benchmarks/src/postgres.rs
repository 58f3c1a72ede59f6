//! The workloads on Postgres, beside its bare protocol limit: two connections
//! that take whatever is queued and commit it with one statement each.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio_postgres::{Client, NoTls};
use workflow_runtime::{Builder, Result, Runtime};
use workflow_test_postgres::{Cluster, Settings};

use crate::limit::{MAX_BATCH, Request, Write, drive, wall};
use crate::options::Options;
use crate::ours::{self, blocking, fail, median, pause};
use crate::table::{Aim, Row};
use crate::{Figure, Workload, sleepers, taken_over};

const TABLES: &str = "drop schema if exists lim cascade; create schema lim;
create table lim.wf(id text primary key, name text not null, status int not null, input text, \
output text, created bigint, updated bigint) with (fillfactor=70);
create table lim.ck(wf text not null, seq int not null, name text not null, output text, \
started bigint, ended bigint, primary key(wf, seq));
checkpoint";

const BATCH: &str = "with s as (insert into lim.wf(id,name,status,input,created,updated) \
select u,'order',0,x,t,t from unnest($1::text[],$2::text[],$3::int8[]) as z(u,x,t)),
k as (insert into lim.ck select * from \
unnest($4::text[],$5::int[],$6::text[],$7::text[],$8::int8[],$9::int8[]))
update lim.wf set status=1, output=z.o, updated=z.t \
from unnest($10::text[],$11::text[],$12::int8[]) as z(i,o,t) where wf.id=z.i";

/// What the limit's planner is told.
const PLANNER: &str =
    "set enable_hashjoin=off; set enable_mergejoin=off; set plan_cache_mode=force_generic_plan";

type Bare<T> = std::result::Result<T, tokio_postgres::Error>;

pub(crate) async fn connect(url: &str) -> Client {
    match tokio_postgres::connect(url, NoTls).await {
        Ok((client, connection)) => {
            tokio::spawn(async move {
                // Ends with its client.
                let _ended = connection.await;
            });
            client
        }
        Err(error) => fail(&error.to_string()),
    }
}

async fn writer(url: String, requests: Arc<Mutex<mpsc::UnboundedReceiver<Request>>>) -> Bare<()> {
    let client = connect(&url).await;
    client.batch_execute(PLANNER).await?;
    let statement = client.prepare(BATCH).await?;
    let mut batch = Vec::with_capacity(MAX_BATCH);
    loop {
        if requests.lock().await.recv_many(&mut batch, MAX_BATCH).await == 0 {
            return Ok(());
        }
        let now = wall().as_millis() as i64;
        let (mut started, mut ended, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
        let (mut of, mut seqs, mut results) = (Vec::new(), Vec::new(), Vec::new());
        for Request { write, .. } in &batch {
            match write {
                Write::Start(id) => started.push(&**id),
                Write::Checkpoint(id, seq, output) => {
                    of.push(&**id);
                    seqs.push(*seq);
                    results.push(&**output);
                }
                Write::Finish(id, output) => {
                    ended.push(&**id);
                    outputs.push(&**output);
                }
            }
        }
        let inputs = vec!["{\"order\":17}"; started.len()];
        let names = vec!["charge_card"; of.len()];
        let times = |count: usize| vec![now; count];
        let (at_start, at, at_end) = (times(started.len()), times(of.len()), times(ended.len()));
        let columns: [&(dyn tokio_postgres::types::ToSql + Sync); 12] = [
            &started, &inputs, &at_start, &of, &seqs, &names, &results, &at, &at, &ended, &outputs,
            &at_end,
        ];
        client.execute(&statement, &columns).await?;
        for request in batch.drain(..) {
            // Who asked may be gone at the end of the time.
            let _gone = request.done.send(());
        }
    }
}

fn limit(workload: Workload, url: &str, time: Duration, gap: Duration) -> f64 {
    blocking(async {
        connect(url).await.batch_execute(TABLES).await?;
        let (queue, requests) = mpsc::unbounded_channel();
        let requests = Arc::new(Mutex::new(requests));
        let writers = [0, 1].map(|_| tokio::spawn(writer(url.to_owned(), Arc::clone(&requests))));
        pause(Duration::from_millis(300)).await;
        let value = drive(workload, &queue, time, gap).await;
        drop(queue);
        for writer in writers {
            writer.await??;
        }
        Ok(value)
    })
}

pub(crate) fn new_schema() -> String {
    format!("b{}", uuid::Uuid::new_v4().simple())
}

/// A runtime on an empty schema.
fn fresh(url: &str) -> Builder {
    Runtime::builder(url).schema(new_schema())
}

const FINISHED: &str = "insert into runs (id, workflow, workflow_id, args, seed, decided, status, output, \
writer, created, ended) select 10000000 + n, 'checkout', 'finished-' || n, '[1]', n, '[]', 1, '{\"ok\":753}', \
1, $2, $2 from generate_series(1, $1::int8) as n";
const THEIR_HISTORY: &str = "insert into history (run, seq, kind, call, name, payload, decided, writer, at) \
select 10000000 + n, seq, 'step', seq - 1, 'charge_card', '{\"ok\":{\"id\":1,\"amount\":251}}', '[]', 1, $2 \
from generate_series(1, $1::int8) as n, generate_series(1, 3) as seq";

/// A schema with so many finished runs of three steps each.
fn filled(url: &str, finished: u64) -> String {
    let schema = new_schema();
    blocking(async {
        Runtime::builder(url).schema(&schema).connect().await?.close().await;
        let client = connect(url).await;
        client.batch_execute(&format!("set search_path to {schema}")).await?;
        let (count, now) = (finished as i64, wall().as_millis() as i64);
        for fill in [FINISHED, THEIR_HISTORY] {
            client.execute(fill, &[&count, &now]).await?;
        }
        // What the server would do meanwhile, it has done.
        for tidy in ["vacuum analyze runs", "vacuum analyze history", "checkpoint"] {
            client.batch_execute(tidy).await?;
        }
        Ok(())
    });
    schema
}

/// What is to be reached.
fn aim(workload: Workload) -> Option<Aim> {
    match workload {
        Workload::W1(256) => Some(Aim::OfLimit(0.45)),
        Workload::W1(_) | Workload::W3 => None,
        Workload::W2 => Some(Aim::TimesLimit(1.7)),
        Workload::W6 => Some(Aim::AtMost(12.0)),
    }
}

pub(crate) fn measure(options: &Options) -> std::io::Result<()> {
    let settings = Settings { durable: true, ..Settings::default() };
    let cluster = Cluster::start(&settings).unwrap_or_else(|reason| fail(&reason));
    let url = cluster.url();
    let (time, gap) = (options.time, options.gap);
    for workload in Workload::ALL {
        if !options.wants(&workload.name()[..2]) {
            continue;
        }
        let (mut limits, mut ours, mut empty) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..options.rounds {
            eprintln!("{} postgres round {}", workload.name(), round + 1);
            limits.push(limit(workload, url, time, gap));
            let on = |builder| ours::on(workload, builder, time, gap);
            if options.finished > 0 {
                empty.push(on(fresh(url)).value);
                let schema = filled(url, options.finished);
                ours.push(on(Runtime::builder(url).schema(schema)));
            } else {
                ours.push(on(fresh(url)));
            }
        }
        ours.sort_by(|a, b| a.value.total_cmp(&b.value));
        let Figure { value, cpu, units } = &ours[ours.len() / 2];
        Row {
            name: workload.name(),
            sync: "PG",
            unit: workload.unit(),
            limit: Some(median(&mut limits)),
            ours: *value,
            empty: (options.finished > 0).then(|| median(&mut empty)),
            aim: aim(workload),
            note: cpu.per(*units),
        }
        .print();
    }
    if options.wants("W1") {
        cost(url);
    }
    if options.wants("W4") {
        taken_over::measure(url, options)?;
    }
    if options.wants("W5") {
        let schema = (options.finished > 0).then(|| filled(url, options.finished));
        sleepers::on_postgres(url, options, schema)?;
    }
    Ok(())
}

/// What one workflow of three steps costs the server, one after the other and
/// with 256 in flight.
fn cost(url: &str) {
    for in_flight in [1, 256] {
        let before = blocking(spent(url));
        let figure =
            ours::on(Workload::W1(in_flight), fresh(url), Duration::from_secs(3), Duration::ZERO);
        let after = blocking(spent(url));
        let of = |n: usize| (after[n] - before[n]) / figure.units;
        println!(
            "with {in_flight} in flight a workflow of three steps costs {:.2} transactions (each one \
             statement and one round trip) and {:.0} bytes of the server's log",
            of(0),
            of(1)
        );
    }
}

/// Transactions and bytes of log so far.
async fn spent(url: &str) -> Result<[f64; 2]> {
    // The server's own figures come late.
    pause(Duration::from_millis(1_500)).await;
    let text = "select sum(xact_commit)::float8, \
                (pg_current_wal_lsn() - '0/0'::pg_lsn)::float8 from pg_stat_database";
    let row = connect(url).await.query_one(text, &[]).await?;
    Ok([row.get(0), row.get(1)])
}
