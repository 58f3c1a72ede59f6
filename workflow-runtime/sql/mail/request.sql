-- Somebody waits for the reply to a message.
insert into requests (message, run, asker, call) values (?1, ?2, ?3, ?4)
