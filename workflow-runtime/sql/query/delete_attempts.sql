delete from attempts where run = ?1
