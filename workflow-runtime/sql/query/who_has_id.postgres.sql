-- The run that has a workflow id, and who started it.
select id, writer from runs where workflow_id = $1 order by generation desc limit 1
