select claims from active where run = ?1
