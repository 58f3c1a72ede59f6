-- Cancellation and other commands, poison runs, blobs, meta.

-- How often the run was claimed since it last got further.
alter table active add column claims integer not null default 0;

-- What people asked for, and who. Kept as long as the run.
create table commands (
    id integer primary key,
    run integer not null,
    kind text not null,                   -- cancel, terminate, retry, redrive
    by text not null,
    reason text,
    at integer not null,
    done integer not null                 -- 0: the run's owner has yet to act
) strict;

create index commands_open on commands (run) where done = 0;
create index commands_run on commands (run);

-- What could not be done and waits for people.
create table dead_letters (
    id integer primary key,
    run integer not null,
    kind text not null,                   -- run
    reason text not null,
    at integer not null
) strict;

create index dead_letters_run on dead_letters (run);

-- Large payloads of the history: its pages stay full of small rows.
create table blobs (
    run integer not null,
    seq integer not null,
    body text not null,
    primary key (run, seq)
) strict;

-- Ends that people look for; most runs are completed and cost nothing here.
create index runs_bad on runs (status, id) where status > 1;

drop view workflows;
drop view steps;

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
    coalesce(history.payload, blobs.body) as payload,
    history.decided,
    datetime(history.at / 1000, 'unixepoch') as at,
    history.run
from history
join runs on runs.id = history.run
left join blobs on blobs.run = history.run and blobs.seq = history.seq;
