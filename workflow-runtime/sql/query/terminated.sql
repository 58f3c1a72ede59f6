-- The owner dropped what was terminated.
update commands set done = 1 where done = 0 and kind = 'terminate' and run = ?1
