-- The failed attempts of a call whose result is in: (run, writer, first seq, call).
delete from attempts where (run, call) in (
select column1, column4 from (values {rows}) join active on active.run = column1
where {accepted}
)
