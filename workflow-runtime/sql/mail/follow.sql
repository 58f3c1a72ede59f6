-- What a run has not taken goes to its next generation.
update mailbox set run = ?2 where run = ?1 and kind in ('signal', 'request')
