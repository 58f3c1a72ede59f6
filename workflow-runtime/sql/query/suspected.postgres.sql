-- Runs that were claimed and got no further.
select run from active where claims > 0 and run = any ($1)
