-- Runs, newest first. A parameter that is null asks for nothing.
select runs.id, workflow, workflow_id, meta, created, ended, {status} as state
from runs left join active on active.run = runs.id
where ($1::int8 is null or runs.id < $1)
  and ($2::text[] is null or workflow = any ($2))
  and ($3::text is null or (workflow_id >= $3 and ($4::text is null or workflow_id < $4)))
  and ($5::int8 is null or created >= $5)
  and ($6::int8 is null or created < $6)
  and ($7::text[] is null or {status} = any ($7))
  and ($8::text is null or runs.meta::jsonb @> $8::jsonb)
  and {first}
order by runs.id desc limit $9
