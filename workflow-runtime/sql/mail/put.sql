insert into mailbox (run, message, kind, name, body, at) values (?1, ?2, 'signal', ?3, ?4, ?5)
