-- The owner dropped what was terminated.
update commands set done = true where not done and kind = 'terminate' and run = $1
