-- Somebody asked the run for something: it is due at once if it waits, unless it is set aside.
update active
set asked = greatest(asked, $3),
    due = case
        when owner is null and not exists (select 1 from blocked where blocked.run = $1)
            then least(due, $2)
        else due
    end
where run = $1
