-- Runs that this build refused stay aside.
update active set owner = null, due = 9223372036854775807
where owner is distinct from ?1 and run in (select run from blocked where build = ?2)
