-- A run leaves memory until it is due; at once if somebody asked for something meanwhile. Sent
-- again it finds its own due time, also if the run was claimed since: nothing to do.
update active
set owner = null,
    claims = 0,
    due = case
        when ?4 and (mail > ?5 or exists (select 1 from commands where run = ?1 and done = 0)) then 0
        else ?3
    end
where run = ?1 and owner = ?2 and due <> ?3
