-- Who waits for a run that has ended: what is dead may be redriven, what goes on as its next generation is
-- not over.
select parent from runs where id = ?1 and parent is not null and status in (1, 2, 3)
