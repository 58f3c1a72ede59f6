-- A run leaves memory until it is due: (run, writer, first seq, due).
update active set owner = null, due = column4
from (values {rows})
-- Sent again it finds its own due time, also if the run was claimed since: nothing to do.
where active.run = column1 and active.due <> column4 and {accepted}
