-- The result of a call is in.
delete from attempts where run = ?1 and call = ?2
