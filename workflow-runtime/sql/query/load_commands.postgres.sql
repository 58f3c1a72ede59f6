-- Cancellations that are not in the history yet, oldest first.
select id, run, kind, by, reason, at from commands
where not done and kind = 'cancel' and run = any ($1) order by id
