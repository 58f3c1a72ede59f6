select run, call, attempt, error, retry_at from attempts
where run in (select value from json_each($1))
