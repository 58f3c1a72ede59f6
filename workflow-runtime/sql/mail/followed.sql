-- What went to a next generation: messages that it has not taken, and requests that it may answer.
update active set mail = mail + ?2 + ?3, unread = unread + ?2 where run = ?1
