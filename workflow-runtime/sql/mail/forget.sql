delete from received where run = ?1
