-- An orderly end of a process is no fault of its runs.
with held as materialized (
    select run from active where owner = $1 order by run for no key update
)
update active set owner = null, due = $2, claims = greatest(claims - 1, 0)
from held where active.run = held.run
