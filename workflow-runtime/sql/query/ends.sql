select id, status, output, ended from runs
where status <> 0 and id in (select value from json_each(?1))
