select run, call, attempt, error, retry_at, detail from attempts
where run in (select value from json_each(?1))
