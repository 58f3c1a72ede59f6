update active set owner = null, due = $2 where owner = $1
