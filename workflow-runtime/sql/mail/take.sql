delete from mailbox where run = ?1 and number = ?2
