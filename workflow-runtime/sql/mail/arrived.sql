-- Signals whose runs have been started since.
select early.number, early.at,
       (select id from runs where runs.workflow_id = early.workflow_id order by generation desc limit 1) as run
from early
where exists (select 1 from runs where runs.workflow_id = early.workflow_id)
order by early.number limit 256
