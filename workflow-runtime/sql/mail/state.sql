-- What the newest generation shows that shows something.
select states.run, states.version, states.body
from runs join states on states.run = runs.id
where runs.workflow_id = ?1
order by runs.generation desc limit 1
