select id, status, output, ended from runs where status <> 0 and id = any ($1)
