-- Whether a run is dead: it may be redriven, and its mail is kept.
select status = 4 from runs where id = ?1
