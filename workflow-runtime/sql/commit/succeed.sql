-- The next generation of a run, queued.
insert into runs (id, workflow, workflow_id, generation, parent, parent_call, args, seed, meta, writer, created, status)
select ?2, ?3, workflow_id, generation + 1, parent, parent_call, ?4, ?5, ?6, ?7, ?8, 0 from runs where id = ?1
