select run, number, kind, name, call, body from mailbox
where run in (select value from json_each(?1)) order by number
