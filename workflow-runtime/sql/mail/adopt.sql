insert into mailbox (run, message, kind, name, body, at)
select ?2, message, kind, name, body, at from early where number = ?1
