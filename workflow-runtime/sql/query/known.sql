select status, active.owner is not null, exists (select 1 from blocked where blocked.run = runs.id)
from runs left join active on active.run = runs.id
where runs.id = ?1
