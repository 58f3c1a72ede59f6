-- The run that was started under a workflow id, and who started it.
select id, writer from runs where workflow_id = $1 order by generation limit 1
