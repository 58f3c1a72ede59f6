-- A row of a history; nothing if its place is taken.
insert into history (run, seq, kind, call, name, payload, decided, writer, at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
on conflict do nothing
