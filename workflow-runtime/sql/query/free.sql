-- A run that was set aside is due again.
update active set due = ?2, claims = 0 where run = ?1 and owner is null
