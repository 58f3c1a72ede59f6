-- What was asked of the run, up to that command, is in its history.
update commands set done = 1 where run = ?1 and done = 0 and id <= ?2
