select runs.id, workflow, workflow_id, args, seed, decided, meta, status, output, created, ended,
       active.due, active.owner, active.claims, active.mail, parent, parent_call, generation,
       (select report from blocked where blocked.run = runs.id order by at desc limit 1) as report
from runs left join active on active.run = runs.id
where runs.id = any ($1)
