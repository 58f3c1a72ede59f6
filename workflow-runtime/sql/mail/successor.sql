-- The next generation of a run.
select later.id from runs as later join runs as before
    on later.workflow_id = before.workflow_id and later.generation = before.generation + 1
where before.id = ?1
