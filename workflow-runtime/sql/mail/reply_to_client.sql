insert into replies (message, run, body, at) values (?1, ?2, ?3, ?4) on conflict do nothing
