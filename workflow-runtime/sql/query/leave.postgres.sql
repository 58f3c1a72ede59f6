-- A worker ends in good order.
with gone as (
    update workers set live = false where writer = $1 returning writer
)
update lanes set fenced = true where lanes.writer = $1
