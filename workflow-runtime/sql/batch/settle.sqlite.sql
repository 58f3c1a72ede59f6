-- The failed attempts of a call whose result is in: (run, writer, first seq, call).
delete from attempts where (run, call) in (
select column1, column4 from (values {rows}) join active on active.run = column1
where active.owner = column2 and (
    column3 is null
    or exists (select 1 from history where run = column1 and seq = column3 and writer = column2)
)
)
