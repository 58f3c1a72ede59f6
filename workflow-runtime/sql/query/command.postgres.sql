insert into commands (run, kind, by, reason, at, done) values ($1, $2, $3, $4, $5, $6) returning id
