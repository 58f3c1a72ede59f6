-- What the schema is now.
insert into counters (name, next) values ('schema', {version})
on conflict (name) do update set next = excluded.next;
