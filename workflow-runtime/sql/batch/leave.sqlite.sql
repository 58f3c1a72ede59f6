-- An ended run is open no more.
delete from active where run in (
    select column1 from (values {rows}) join runs on runs.id = column1 where runs.status <> 0
)
