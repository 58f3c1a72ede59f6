-- A child, queued.
insert into runs
    (id, workflow, workflow_id, parent, parent_call, args, seed, meta, writer, created, status)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0)
on conflict do nothing
