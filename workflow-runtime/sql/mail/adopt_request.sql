insert into requests (message, run, asker, call)
select message, ?2, asker, asker_call from early where number = ?1 and kind = 'request'
on conflict do nothing
