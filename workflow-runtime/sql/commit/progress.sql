-- A run that was claimed got further.
update active set claims = 0 where run = ?1
