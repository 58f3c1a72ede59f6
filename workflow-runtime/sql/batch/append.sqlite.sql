-- The first row of an item: only after its predecessor, only in an open run.
insert into history (run, seq, kind, call, name, payload, decided, writer, at)
select new.* from (values {rows}) as new join active on active.run = new.column1
where new.column2 = 1
   or exists (select 1 from history where run = new.column1 and seq = new.column2 - 1)
on conflict do nothing
