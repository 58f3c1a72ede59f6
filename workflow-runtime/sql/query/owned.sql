select run from active where owner = ?1
