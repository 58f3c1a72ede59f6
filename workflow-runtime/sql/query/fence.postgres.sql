-- Writers of this process write nothing any more: what they know is not what is there.
with dead as (
    update workers set live = false where writer = any ($1)
)
update lanes set fenced = true where writer = any ($1)
