delete from replies where run = ?1
