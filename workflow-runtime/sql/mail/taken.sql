update active set unread = unread - ?2 where run = ?1
