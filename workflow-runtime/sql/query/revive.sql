-- A dead run is open again.
update runs set status = 0, output = null, ended = null where id = ?1 and status = 4
