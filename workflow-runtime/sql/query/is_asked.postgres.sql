-- Whether a command whose answer was lost is there.
select exists (
    select 1 from commands
    where run = $1 and kind = $2 and by = $3 and reason is not distinct from $4 and at = $5
)
