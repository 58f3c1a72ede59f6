-- The item's writer holds the run, and the item's first row, if it has one, is in.
active.owner = column2 and (
    column3 is null
    or exists (select 1 from history where run = column1 and seq = column3 and writer = column2)
)
