-- What set a run aside is over: (run, writer, first seq).
delete from blocked where run in (
select column1 from (values {rows}) join active on active.run = column1
where {accepted}
)
