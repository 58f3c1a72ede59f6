-- The newest runs of workflow ids.
select distinct on (workflow_id) id from runs where workflow_id = any ($1) order by workflow_id, generation desc
