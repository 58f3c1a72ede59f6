-- A new run that is not over: (run, writer, due).
insert into active (run, owner, due)
select column1, column2, column3 from (values {rows}) join runs on runs.id = column1
where runs.status = 0
on conflict do nothing
