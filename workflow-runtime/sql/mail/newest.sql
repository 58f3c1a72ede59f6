-- The newest run of a workflow id.
select id from runs where workflow_id = ?1 order by generation desc limit 1
