-- The last number of a window, and whether anything in it was accepted before a time.
select max(id), min(created) from (
    select id, created from runs where id > ?1 order by id limit ?2
) as numbers
