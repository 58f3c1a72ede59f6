select owner from active where run = ?1
