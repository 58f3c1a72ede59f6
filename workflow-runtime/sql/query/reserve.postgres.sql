insert into counters (name, next) values ($1, 1 + $2)
on conflict (name) do update set next = counters.next + $2
returning next - $2
