delete from commands where run = ?1
