-- An attempt that failed: (run, writer, first seq, call, attempt, error, retry at).
insert into attempts (run, call, attempt, error, retry_at)
select column1, column4, column5, column6, column7
from (values {rows}) join active on active.run = column1
where {accepted}
on conflict (run, call) do update
set attempt = excluded.attempt, error = excluded.error, retry_at = excluded.retry_at
