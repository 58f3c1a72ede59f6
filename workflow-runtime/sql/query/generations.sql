-- An ended run, and if it was the last generation, those before it.
select id from runs where id = ?1 and status <> 0
union
select before.id from runs as last join runs as before on before.workflow_id = last.workflow_id
where last.id = ?1 and last.status not in (0, 5) and before.generation < last.generation
