-- Whether the row of that place had its turn. The last row of an item that was not to end its run yet
-- stays without, also when the run ends otherwise later.
select decided is not null from history where run = ?1 and seq = ?2
