insert into mailbox (run, message, kind, name, call, body, at)
values (?1, ?2, 'reply', '', ?3, ?4, ?5) on conflict do nothing
