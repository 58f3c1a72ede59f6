insert into counters (name, next) values ('schema', $1) on conflict (name) do update set next = $1
