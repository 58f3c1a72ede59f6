-- What a run has not taken when it ends waits for people.
insert into dead_letters (run, kind, reason, at, body)
select run, 'signal', 'the run ended before it received `' || name || '`', ?2, body
from mailbox where run = ?1 and kind = 'signal' order by number
