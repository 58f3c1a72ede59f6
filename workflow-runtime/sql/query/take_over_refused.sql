-- Runs that this build refused stay aside.
update active set owner = null, due = 9223372036854775807
where run in (select run from blocked where build = $1)
