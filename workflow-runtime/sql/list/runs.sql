-- Runs, newest first. A parameter that is null asks for nothing.
select runs.id, workflow, workflow_id, meta, created, ended, {status} as state
from runs left join active on active.run = runs.id
where (?1 is null or runs.id < ?1)
  and (?2 is null or workflow in (select value from json_each(?2)))
  and (?5 is null or created >= ?5)
  and (?6 is null or created < ?6)
  and (?7 is null or {status} in (select value from json_each(?7)))
  and (?8 is null or not exists (
      select 1 from json_each(?8) as wanted
      where json_extract(runs.meta, '$."' || wanted.key || '"') is not wanted.value
  ))
  and {first}
order by runs.id desc limit ?9
