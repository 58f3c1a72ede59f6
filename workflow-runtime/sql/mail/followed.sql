update active set mail = ?2, unread = ?2 where run = ?1
