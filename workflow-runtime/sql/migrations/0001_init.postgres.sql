-- Times are milliseconds since 1970-01-01 UTC. No statement reads a clock. Differs from SQLite in its
-- types, in what many workers need, and in what autovacuum has to know.

-- Numbers that are never given twice: runs, writers.
create table counters (
    name text primary key,
    next bigint not null
);

-- One row per run: inserted once, updated once at its end.
create table runs (
    id bigint primary key,
    workflow text not null,
    workflow_id text collate "C" not null check (octet_length(workflow_id) between 1 and 512),
    generation integer not null default 1,
    parent bigint,
    args text not null,
    seed bigint not null,
    decided text,                         -- of the first turn; null: it has not run
    status smallint not null,             -- 0 open, 1 completed, 2 failed, 3 cancelled, 4 dead
    output text,
    meta text,
    writer bigint not null,
    created bigint not null,
    ended bigint,
    unique (workflow_id, generation)
) with (fillfactor = 85);

-- Ends that people look for: failed, cancelled, dead. A table, because an index on the status would make
-- every end write to every index.
create table failures (
    run bigint primary key
);

-- What happened. Append only.
create table history (
    run bigint not null,
    seq integer not null,
    kind text not null,                   -- begun, step, timer, cancelled
    call integer,
    name text not null,
    payload text,
    decided text,                         -- of its turn; null: not delivered yet
    writer bigint not null,
    at bigint not null,
    primary key (run, seq)
);

-- Open runs only: the small hot table.
create table active (
    run bigint primary key,
    queue integer not null default 0,
    priority smallint not null default 0,
    due bigint not null,
    owner bigint,                         -- null: free
    mail bigint not null default 0,
    claims integer not null default 0,    -- since it last got further
    asked bigint not null default 0       -- the last command that its history does not know
) with (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off
);

create index active_ready on active (queue, priority, due, run) where owner is null;
create index active_owner on active (owner) where owner is not null;

-- The last failed attempt of steps that will be tried again.
create table attempts (
    run bigint not null,
    call integer not null,
    attempt integer not null,
    error text not null,
    retry_at bigint not null,
    detail text,
    primary key (run, call)
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, vacuum_truncate = off);

-- Runs that a build cannot continue, and why.
create table blocked (
    run bigint not null,
    build text not null,
    report text not null,
    at bigint not null,
    primary key (run, build)
);

-- What people asked for, and who. Kept as long as the run.
create table commands (
    id bigint generated always as identity primary key,
    run bigint not null,
    kind text not null,                   -- cancel, terminate, retry, redrive
    by text not null,
    reason text,
    at bigint not null,
    done boolean not null                 -- false: the run's owner has yet to act
);

create index commands_open on commands (run) where not done;
create index commands_run on commands (run);

-- What could not be done and waits for people.
create table dead_letters (
    id bigint generated always as identity primary key,
    run bigint not null,
    kind text not null,                   -- run
    reason text not null,
    at bigint not null
);

create index dead_letters_run on dead_letters (run);

-- Processes that run workflows. The beat of one that lives moves.
create table workers (
    writer bigint primary key,
    beat bigint not null default 0,
    live boolean not null default true,
    host text not null,
    process bigint not null,
    build text not null,
    started bigint not null
) with (fillfactor = 50);

-- The connections by which a writer writes. Whoever takes over from it fences them.
create table lanes (
    writer bigint not null,
    lane smallint not null,
    fenced boolean not null default false,
    primary key (writer, lane)
);

-- Large texts are packed fast, where the server can.
do $$
begin
    alter table runs alter args set compression lz4;
    alter table runs alter decided set compression lz4;
    alter table runs alter output set compression lz4;
    alter table history alter payload set compression lz4;
    alter table history alter decided set compression lz4;
exception when feature_not_supported then
    null;
end $$;

-- For people.
create view workflows as
select
    runs.workflow_id as id,
    runs.workflow,
    case
        when runs.status = 1 then 'completed'
        when runs.status = 2 then 'failed'
        when runs.status = 3 then 'cancelled'
        when runs.status = 4 then 'dead'
        when exists (select 1 from blocked where blocked.run = runs.id) then 'blocked'
        when active.owner is not null then 'running'
        when active.due > runs.created then 'waiting'
        else 'queued'
    end as status,
    runs.args,
    runs.output,
    runs.meta,
    to_timestamp(runs.created / 1000.0) as created,
    to_timestamp(runs.ended / 1000.0) as ended,
    (select count(*) from history where history.run = runs.id) as events,
    (select report::json ->> 'message' from blocked where blocked.run = runs.id order by at desc limit 1)
        as report,
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
    to_timestamp(history.at / 1000.0) as at,
    history.run
from history join runs on runs.id = history.run;
