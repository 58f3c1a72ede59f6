insert into active (run, owner, due) values (?1, null, ?2) on conflict do nothing
