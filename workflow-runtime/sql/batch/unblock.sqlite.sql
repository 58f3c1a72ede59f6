-- What set a run aside is over: (run, writer, first seq).
delete from blocked where run in (
select column1 from (values {rows}) join active on active.run = column1
where active.owner = column2 and (
    column3 is null
    or exists (select 1 from history where run = column1 and seq = column3 and writer = column2)
)
)
