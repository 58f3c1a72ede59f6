-- A new run; nothing if its workflow id is taken, or if it is there already.
insert into runs (id, workflow, workflow_id, args, seed, decided, writer, created, status, output, ended)
select * from (values {rows}) where column1 is not null
on conflict do nothing
