select run, seq, kind, call, name, payload, decided, writer, at from history
where run = any ($1) order by run, seq
