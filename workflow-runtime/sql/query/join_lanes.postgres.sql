-- The lanes of a writer that was not declared dead.
insert into lanes (writer, lane)
select $1, lane from unnest($2::int2[]) as z (lane)
where not exists (select 1 from workers where writer = $1 and not live)
on conflict do nothing
