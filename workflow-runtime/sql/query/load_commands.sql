-- Cancellations that are not in the history yet, oldest first.
select id, run, kind, by, reason, at from commands
where done = 0 and kind = 'cancel' and run in (select value from json_each(?1))
order by id
