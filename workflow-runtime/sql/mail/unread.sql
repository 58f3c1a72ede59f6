-- How many messages an open run has not taken.
select unread from active where run = ?1
