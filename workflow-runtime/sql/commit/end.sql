-- The end of a run.
update runs set status = ?2, output = ?3, ended = ?4 where id = ?1 and status = 0
