-- What other builds refused is due: this one tries it.
update active set due = $2
where owner is null and due = 9223372036854775807
  and run in (select run from blocked) and run not in (select run from blocked where build = $1)
