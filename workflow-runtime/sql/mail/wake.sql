-- A message came: a run that waits is due, unless it is set aside.
update active
set mail = mail + 1,
    unread = unread + 1,
    due = case
        when owner is null and due > ?2 and not exists (select 1 from blocked where blocked.run = ?1) then ?2
        else due
    end
where run = ?1
