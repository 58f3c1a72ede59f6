-- Signals whose runs have been started since.
select early.number, early.at, early.workflow_id from early
where exists (select 1 from runs where runs.workflow_id = early.workflow_id)
order by early.number limit 256
