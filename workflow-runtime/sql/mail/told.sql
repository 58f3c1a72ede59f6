-- Runs of an owner for which something came that it was not told of.
select run from active where owner = ?1 and mail > heard order by run limit 256
