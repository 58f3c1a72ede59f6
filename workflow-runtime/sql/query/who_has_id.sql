-- The run that was started under a workflow id; what it was restarted as comes after it.
select id from runs where workflow_id = ?1 order by generation limit 1
