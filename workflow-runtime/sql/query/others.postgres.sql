-- The other workers: those that live, and those that were declared dead and still hold runs, because
-- whoever began to take over may be dead, too.
select writer, beat, live from workers
where writer <> $1 and (live or exists (select 1 from active where active.owner = workers.writer))
