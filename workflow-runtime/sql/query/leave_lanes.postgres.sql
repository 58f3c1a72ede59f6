-- Clients end: they hold nothing.
delete from lanes where writer = any ($1)
