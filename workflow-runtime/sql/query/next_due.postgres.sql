-- When the next run is due that this worker may claim. Those in front that it may not are skipped.
select due from active
where owner is null and queue = 0 and priority = 0 and due < 9223372036854775807
  and ($1::text[] is null or (select runs.workflow = any ($1) from runs where runs.id = active.run))
  and not exists (select 1 from blocked where blocked.run = active.run and blocked.build = $2)
order by queue, priority, due limit 1
