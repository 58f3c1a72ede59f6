-- What brought down its process once too often: another life held it, and it never got further.
select runs.id from active join runs on runs.id = active.run
where active.owner is not null and active.owner <> ?1 and active.claims >= ?2
