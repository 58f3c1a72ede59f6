delete from dead_letters where run = ?1
