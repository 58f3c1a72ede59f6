delete from history where run = ?1
