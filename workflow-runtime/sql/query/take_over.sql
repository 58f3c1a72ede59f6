-- What another life of this process held, and what other builds refused, is due.
update active set owner = null, due = $2
where (owner is not null or run in (select run from blocked))
  and run not in (select run from blocked where build = $1)
