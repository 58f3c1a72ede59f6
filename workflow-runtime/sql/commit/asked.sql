-- Whether somebody asked for something that is not in the history of the run yet.
select exists (select 1 from commands where run = ?1 and done = 0)
