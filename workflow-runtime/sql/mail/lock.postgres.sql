-- All open runs that a transaction reaches, in the order of their numbers.
select run from active where run = any ($1) order by run for no key update
