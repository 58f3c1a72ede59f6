insert into counters (name, next) values (?1, 1 + ?2)
on conflict (name) do update set next = next + ?2
returning next - ?2
