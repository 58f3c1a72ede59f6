-- Its mail was kept.
insert into active (run, owner, due, mail, unread)
select ?1, null, ?2, count(*), count(*) from mailbox where run = ?1
on conflict do nothing
