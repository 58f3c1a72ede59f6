select dead_letters.id, runs.workflow_id, runs.workflow, dead_letters.kind, dead_letters.reason,
       dead_letters.at, dead_letters.body
from dead_letters join runs on runs.id = dead_letters.run
where (cast(?1 as bigint) is null or dead_letters.id < ?1)
order by dead_letters.id desc limit ?2
