select run, seq, kind, call, name, payload, decided, writer, at from history
where run in (select value from json_each($1))
order by run, seq
