-- The end of a run, from outside.
with ended as (
    update runs set status = $2, output = $3, ended = $4 where id = $1 and status = 0 returning id
)
insert into failures (run) select id from ended where $2 > 1 on conflict do nothing
