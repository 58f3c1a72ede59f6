delete from replies where message = ?1
