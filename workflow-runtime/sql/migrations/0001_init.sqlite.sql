-- Times are milliseconds since 1970-01-01 UTC. No statement reads a clock.

-- Numbers that are never given twice: runs, writers.
create table counters (
    name text not null primary key,
    next integer not null
) strict, without rowid;

-- One row per run: inserted once, updated once at its end.
create table runs (
    id integer primary key,
    workflow text not null,
    workflow_id text not null check (length(cast(workflow_id as blob)) between 1 and 512),
    generation integer not null default 1,
    parent integer,
    args text not null,
    seed integer not null,
    decided text,                         -- of the first turn; null: it has not run
    status integer not null,              -- 0 open, 1 completed, 2 failed
    output text,
    meta text,
    writer integer not null,
    created integer not null,
    ended integer,
    unique (workflow_id, generation)
) strict;

-- What happened. Append only.
create table history (
    run integer not null,
    seq integer not null,
    kind text not null,                   -- begun, step, timer, cancelled, refused
    call integer,
    name text not null,
    payload text,
    decided text,                         -- of its turn; null: not delivered yet
    writer integer not null,
    at integer not null,
    primary key (run, seq)
) strict, without rowid;

-- Open runs only: the small hot table.
create table active (
    run integer primary key,
    queue integer not null default 0,
    priority integer not null default 0,
    due integer not null,
    owner integer,                        -- null: free
    mail integer not null default 0
) strict;

create index active_ready on active (queue, priority, due) where owner is null;

-- The last failed attempt of steps that will be tried again.
create table attempts (
    run integer not null,
    call integer not null,
    attempt integer not null,
    error text not null,
    retry_at integer not null,
    detail text,
    primary key (run, call)
) strict, without rowid;

-- Runs that a build cannot continue, and why.
create table blocked (
    run integer not null,
    build text not null,
    report text not null,
    at integer not null,
    primary key (run, build)
) strict, without rowid;

-- For people.
create view workflows as
select
    runs.workflow_id as id,
    runs.workflow,
    case
        when runs.status = 1 then 'completed'
        when runs.status = 2 then 'failed'
        when exists (select 1 from blocked where blocked.run = runs.id) then 'blocked'
        when active.owner is not null then 'running'
        when active.due > runs.created then 'waiting'
        else 'queued'
    end as status,
    runs.args,
    runs.output,
    datetime(runs.created / 1000, 'unixepoch') as created,
    datetime(runs.ended / 1000, 'unixepoch') as ended,
    (select count(*) from history where history.run = runs.id) as events,
    (select json_extract(report, '$.message') from blocked where blocked.run = runs.id) as report,
    runs.id as run
from runs left join active on active.run = runs.id;

create view steps as
select
    runs.workflow_id as id,
    runs.workflow,
    history.seq,
    history.kind,
    history.name,
    history.payload,
    history.decided,
    datetime(history.at / 1000, 'unixepoch') as at,
    history.run
from history join runs on runs.id = history.run;
