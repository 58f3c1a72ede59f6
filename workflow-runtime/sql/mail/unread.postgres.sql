-- How many messages an open run has not taken. Nobody else sends to it, takes from it or ends it until
-- the transaction ends.
select unread from active where run = $1 for no key update
