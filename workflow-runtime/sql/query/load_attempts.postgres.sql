select run, call, attempt, error, retry_at, detail from attempts where run = any ($1)
