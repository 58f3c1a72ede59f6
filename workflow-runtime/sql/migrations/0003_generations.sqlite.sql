-- A run may end and go on as the next generation: status 5.

drop view workflows;

create view workflows as
select
    runs.workflow_id as id,
    runs.workflow,
    case
        when runs.status = 1 then 'completed'
        when runs.status = 2 then 'failed'
        when runs.status = 3 then 'cancelled'
        when runs.status = 4 then 'dead'
        when runs.status = 5 then 'continued'
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
    runs.id as run,
    runs.generation
from runs left join active on active.run = runs.id;
