-- The other rows of an item: where its first row is in. The last column is the first row's seq.
insert into history (run, seq, kind, call, name, payload, decided, writer, at)
select column1, column2, column3, column4, column5, column6, column7, column8, column9
from (values {rows}) join history as first on first.run = column1 and first.seq = column10
where first.writer = column8
on conflict do nothing
