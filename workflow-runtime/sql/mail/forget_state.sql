delete from states where run = ?1
