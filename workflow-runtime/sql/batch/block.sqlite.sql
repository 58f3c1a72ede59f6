-- A run is set aside: (run, writer, first seq, build, report, at).
insert into blocked (run, build, report, at)
select column1, column4, column5, column6
from (values {rows}) join active on active.run = column1
where active.owner = column2 and (
    column3 is null
    or exists (select 1 from history where run = column1 and seq = column3 and writer = column2)
)
on conflict (run, build) do update set report = excluded.report, at = excluded.at
