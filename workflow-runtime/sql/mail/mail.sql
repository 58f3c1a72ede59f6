-- How many messages came for an open run.
select mail from active where run = ?1
