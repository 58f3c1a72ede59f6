-- What other lives of this process held, and what other builds refused, is due.
update active set owner = null, due = $3
where owner is distinct from $1
  and (owner is not null or run in (select run from blocked))
  and run not in (select run from blocked where build = $2)
