-- The end of a run: (run, writer, first seq, status, output, ended).
update runs set status = column4, output = column5, ended = column6
from (values {rows}) join history as first on first.run = column1 and first.seq = column3
where runs.id = column1 and first.writer = column2 and runs.status = 0
