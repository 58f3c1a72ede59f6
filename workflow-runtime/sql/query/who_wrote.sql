select writer from history where run = ?1 and seq = ?2
