-- A run is set aside: (run, writer, first seq, build, report, at).
insert into blocked (run, build, report, at)
select column1, column4, column5, column6
from (values {rows}) join active on active.run = column1
where {accepted}
on conflict (run, build) do update set report = excluded.report, at = excluded.at
