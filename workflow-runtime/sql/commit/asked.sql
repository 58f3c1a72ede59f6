-- Whether somebody asked the run for something after that command, and it is not in the history yet.
select exists (select 1 from commands where run = ?1 and done = 0 and id > ?2)
