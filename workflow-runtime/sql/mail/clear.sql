delete from mailbox where run = ?1
