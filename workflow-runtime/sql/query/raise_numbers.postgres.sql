-- Numbers that were given are not given again.
insert into counters (name, next) values ('runs', greatest($1, 1))
on conflict (name) do update set next = greatest(counters.next, excluded.next)
