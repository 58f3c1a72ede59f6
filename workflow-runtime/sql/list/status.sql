case
    when runs.status = 1 then 'completed'
    when runs.status = 2 then 'failed'
    when runs.status = 3 then 'cancelled'
    when runs.status = 4 then 'dead'
    when runs.status = 5 then 'continued'
    when exists (select 1 from blocked where blocked.run = runs.id) then 'blocked'
    when active.owner is not null then 'running'
    when active.due > runs.created then 'waiting'
    else 'queued'
end
