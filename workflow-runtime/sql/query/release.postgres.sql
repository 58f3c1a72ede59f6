-- An orderly end of a process is no fault of its runs.
update active set owner = null, due = $2, claims = greatest(claims - 1, 0) where owner = $1
