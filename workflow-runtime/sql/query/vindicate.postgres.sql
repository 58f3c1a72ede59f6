-- Runs that were suspected and did no harm.
update active set claims = 0 where run = any ($1)
