-- A run that was suspected and did no harm.
update active set claims = 0 where run = ?1
