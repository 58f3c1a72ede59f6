-- One writer at a time: no row needs a lock of its own.
update active set owner = ?1, claims = claims + 1
where run in (
    select run from active
    where owner is null and queue = 0 and priority = 0 and due <= ?2 and claims between ?4 and ?5
    order by due, run limit ?3
)
returning run
