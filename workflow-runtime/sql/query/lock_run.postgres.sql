select status, exists (select 1 from blocked where blocked.run = runs.id) as blocked
from runs where id = $1 for no key update
