-- Many workers at a time: each takes rows that no other one has locked, of workflows that it knows and
-- that its build did not refuse; a worker that was declared dead takes nothing. Null: it takes all.
with f as materialized (
    select 1 from lanes where writer = $1 and lane = -1 and not fenced for no key update
),
due as materialized (
    select active.run from active, f
    where owner is null and queue = 0 and priority = 0 and due <= $2 and claims between $4 and $5
      and ($6::text[] is null or (select runs.workflow = any ($6) from runs where runs.id = active.run))
      and not exists (select 1 from blocked where blocked.run = active.run and blocked.build = $7)
    order by queue, priority, due, active.run
    limit $3
    for no key update of active skip locked
)
update active set owner = $1, claims = claims + 1
from due where active.run = due.run
returning active.run
