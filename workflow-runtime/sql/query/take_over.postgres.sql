-- What a worker held, or all others if it is null, is due. What was claimed twice and never got further
-- is suspected, and waits.
with held as materialized (
    select run from active
    where owner is not null and owner <> $1 and ($2::int8 is null or owner = $2)
    order by run
    for no key update
)
update active
set owner = null,
    due = case
        when active.run in (select run from blocked where build = $5) then 9223372036854775807
        when claims >= 2 then $3 + $4 * (claims - 1) * (claims - 1)
        else $3
    end
from held where active.run = held.run
