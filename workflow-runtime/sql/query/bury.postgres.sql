-- What brought down its process once too often: that worker held it, or any other if it is null, and
-- it never got further.
select active.run from active
where active.owner is not null and active.owner <> $1 and ($2::int8 is null or active.owner = $2)
  and active.claims >= $3
order by active.run
for update
