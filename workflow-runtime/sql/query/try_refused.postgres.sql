-- What other builds refused is due: this one tries it.
with refused as materialized (
    select run from active
    where owner is null and due = 9223372036854775807
      and run in (select run from blocked) and run not in (select run from blocked where build = $1)
    order by run
    for no key update
)
update active set due = $2 from refused where active.run = refused.run
