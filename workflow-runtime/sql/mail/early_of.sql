-- Signals that waited for a run to be started.
select number, at from early where workflow_id = ?1 order by number
