-- Whether the first row of an item has its place.
select exists (select 1 from active where run = $1)
       and ($2 = 1 or exists (select 1 from history where run = $1 and seq = $2 - 1))
