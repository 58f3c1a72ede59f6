select history.run, history.seq, kind, call, name, coalesce(payload, blobs.body) as payload,
       decided, writer, at
from history left join blobs on blobs.run = history.run and blobs.seq = history.seq
where history.run in (select value from json_each(?1))
order by history.run, history.seq
