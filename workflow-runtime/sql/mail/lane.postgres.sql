-- Whether a writer may write; whoever takes over from it waits until the transaction ends.
select 1 from lanes where writer = $1 and lane = $2 and not fenced for no key update
