-- What is known of the attempts of a call that has no result yet.
insert into attempts (run, call, attempt, error, retry_at, detail) values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict (run, call) do update
set attempt = excluded.attempt, error = excluded.error, retry_at = excluded.retry_at,
    detail = excluded.detail
