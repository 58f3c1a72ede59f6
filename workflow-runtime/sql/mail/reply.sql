select body from replies where message = ?1
