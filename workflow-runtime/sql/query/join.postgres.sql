-- A worker joins. Of those that ended, and hold nothing, the rows go a day after they joined: without
-- lanes they are as dead as with fenced ones.
with gone as (
    delete from workers
    where not live and started < $5 - 86400000
      and not exists (select 1 from active where active.owner = workers.writer)
      and exists (select 1 from lanes where lanes.writer = workers.writer)
    returning writer
),
lanes_gone as (
    delete from lanes using gone where lanes.writer = gone.writer
)
insert into workers (writer, host, process, build, started) values ($1, $2, $3, $4, $5)
on conflict (writer) do nothing
