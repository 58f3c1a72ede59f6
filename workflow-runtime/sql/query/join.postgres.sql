insert into workers (writer, host, process, build, started) values ($1, $2, $3, $4, $5)
