-- A dead run is open again.
with revived as (
    update runs set status = 0, output = null, ended = null where id = $1 and status = 4 returning id
)
delete from failures using revived where failures.run = revived.id
