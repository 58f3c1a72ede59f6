-- No step of an ended run is tried again.
delete from attempts where run in (
    select column1 from (values {rows}) join runs on runs.id = column1 where runs.status <> 0
)
