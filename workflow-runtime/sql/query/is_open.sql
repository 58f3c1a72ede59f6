select status = 0 from runs where id = ?1
