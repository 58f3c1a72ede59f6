-- A worker whose beat has not moved is dead. Batches of its own that are under way end first: its
-- lanes are locked by them.
with dead as (
    update workers set live = false where writer = $1 and live and beat = $2 returning writer
)
update lanes set fenced = true from dead where lanes.writer = dead.writer returning lanes.writer
