-- What was asked of the run before is done.
update commands set done = true where run = $1 and not done
