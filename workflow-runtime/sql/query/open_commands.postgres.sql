-- What the owner of runs has yet to act on.
select commands.run, commands.id, commands.kind, commands.by, commands.reason, commands.at
from commands left join active on active.run = commands.run
where not commands.done and (commands.kind = 'terminate' or active.owner = $1)
order by commands.id
