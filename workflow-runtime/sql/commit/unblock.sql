-- What set a run aside is over.
delete from blocked where run = ?1
