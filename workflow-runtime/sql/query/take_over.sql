-- What other lives of this process held, and what other builds refused, is due. What was claimed
-- twice and never got further is suspected, and waits.
update active
set owner = null,
    due = case when claims >= 2 then ?3 + ?4 * (claims - 1) * (claims - 1) else ?3 end
where owner is distinct from ?1
  and (owner is not null or run in (select run from blocked))
  and run not in (select run from blocked where build = ?2)
