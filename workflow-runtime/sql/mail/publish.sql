-- What a run shows from now on.
insert into states (run, version, body) values (?1, 1, ?2)
on conflict (run) do update set version = states.version + 1, body = excluded.body
