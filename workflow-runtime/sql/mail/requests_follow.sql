update requests set run = ?2 where run = ?1
