-- No step of an ended run is tried again.
delete from attempts where run = ?1
