insert into dead_letters (run, kind, reason, at) values (?1, ?2, ?3, ?4)
