-- A run is set aside.
insert into blocked (run, build, report, at) values (?1, ?2, ?3, ?4)
on conflict (run, build) do update set report = excluded.report, at = excluded.at
