-- What a run had and did not take waits for people.
insert into dead_letters (run, kind, reason, at, body) values (?1, 'signal', ?2, ?3, ?4)
