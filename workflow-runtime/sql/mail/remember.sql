-- What is taken stays known.
insert into received (message, run)
select message, run from mailbox where run = ?1 and number = ?2 and kind in ('signal', 'request')
on conflict do nothing
