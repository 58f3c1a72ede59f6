-- Whether a run is dead: it may be redriven, and its mail is kept. Whoever redrives it waits.
select status = 4 from runs where id = $1 for share
