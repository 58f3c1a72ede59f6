insert into mailbox (run, message, kind, name, body, at) values (?1, ?2, ?3, ?4, ?5, ?6)
