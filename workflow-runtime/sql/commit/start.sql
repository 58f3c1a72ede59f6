-- A new run; nothing if its workflow id is taken, or if it is there already.
insert into runs
    (id, workflow, workflow_id, args, seed, decided, meta, writer, created, status, output, ended)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
on conflict do nothing
