-- A run that waits is due at once, unless it is set aside.
update active set due = min(due, ?2)
where run = ?1 and owner is null and not exists (select 1 from blocked where blocked.run = ?1)
