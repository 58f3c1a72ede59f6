insert into mailbox (run, message, kind, name, body, at)
select ?2, message, kind, name, body, at from early
where number = ?1 and not exists (select 1 from received where received.message = early.message)
on conflict do nothing
