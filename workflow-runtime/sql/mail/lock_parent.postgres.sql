-- The parent before its child, as everywhere in the order of their numbers.
select run from active where run = (select parent from runs where id = $1) for no key update
