-- Whose a workflow id is, and as whose child it was started.
select parent, parent_call from runs where workflow_id = ?1 order by generation limit 1
