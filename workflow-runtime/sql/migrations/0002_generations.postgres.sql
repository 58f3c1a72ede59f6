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
    to_timestamp(runs.created / 1000.0) as created,
    to_timestamp(runs.ended / 1000.0) as ended,
    (select count(*) from history where history.run = runs.id) as events,
    (select report::json ->> 'message' from blocked where blocked.run = runs.id order by at desc limit 1)
        as report,
    runs.id as run,
    runs.generation
from runs left join active on active.run = runs.id;
